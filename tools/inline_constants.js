// Writes the value of an imported numeric constant in the place of its name: `words[base + 57]` for `words[base + RCV_NXT]`.
// V8 reads an import from its module's cell each time, and what a function weighs when V8 decides whether to inline it are bytecodes:
// see docs/performance.md for what this is worth.
import ts from 'typescript';

/** A transformer for `Program.emit`. */
export function inlineConstants(program) {
  const values = new Values(program.getTypeChecker());
  return (context) => (file) => {
    const visit = (node) => {
      if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isTypeNode(node)) return node;
      if (ts.isShorthandPropertyAssignment(node)) {
        const value = values.ofImport(node.name, true);
        return value === undefined ? node : context.factory.createPropertyAssignment(node.name, literal(context.factory, value));
      }
      if (ts.isIdentifier(node)) {
        const value = values.ofImport(node, false);
        return value === undefined ? node : literal(context.factory, value);
      }
      return ts.visitEachChild(node, visit, context);
    };
    return ts.visitEachChild(file, visit, context);
  };
}

function literal(factory, value) {
  const digits = factory.createNumericLiteral(Math.abs(value));
  if (value >= 0) return digits;
  return factory.createParenthesizedExpression(factory.createPrefixUnaryExpression(ts.SyntaxKind.MinusToken, digits));
}

/** What constants are worth, as far as that can be read off their initialisers. */
class Values {
  #checker;
  #known = new Map();

  constructor(checker) {
    this.#checker = checker;
  }

  /** Of a name that stands for something imported; undefined where it is no number that is known. */
  ofImport(name, isShorthand) {
    const symbol = isShorthand ? this.#checker.getShorthandAssignmentValueSymbol(name.parent) : this.#checker.getSymbolAtLocation(name);
    if (symbol === undefined || (symbol.flags & ts.SymbolFlags.Alias) === 0) return undefined;
    return this.#ofSymbol(this.#checker.getAliasedSymbol(symbol));
  }

  #ofSymbol(symbol) {
    if (!this.#known.has(symbol)) this.#known.set(symbol, this.#ofDeclaration(symbol.valueDeclaration));
    return this.#known.get(symbol);
  }

  #ofDeclaration(node) {
    const isConstant = node !== undefined && ts.isVariableDeclaration(node) && (ts.getCombinedNodeFlags(node) & ts.NodeFlags.Const) !== 0;
    const value = isConstant && node.initializer !== undefined ? this.#evaluate(node.initializer) : undefined;
    return Number.isFinite(value) && !Object.is(value, -0) ? value : undefined;
  }

  #evaluate(node) {
    if (ts.isNumericLiteral(node)) return Number(node.text);
    if (ts.isParenthesizedExpression(node)) return this.#evaluate(node.expression);
    if (ts.isPrefixUnaryExpression(node)) return UNARY[node.operator]?.(this.#evaluate(node.operand));
    if (ts.isBinaryExpression(node)) return BINARY[node.operatorToken.kind]?.(this.#evaluate(node.left), this.#evaluate(node.right));
    if (!ts.isIdentifier(node)) return undefined;
    const symbol = this.#checker.getSymbolAtLocation(node);
    if (symbol === undefined) return undefined;
    return this.#ofSymbol((symbol.flags & ts.SymbolFlags.Alias) === 0 ? symbol : this.#checker.getAliasedSymbol(symbol));
  }
}

// An operand that is not known is undefined, which makes NaN of the arithmetic ones; the bitwise ones would make 0 of it.
const known = (operator) => (a, b) => (a === undefined || b === undefined ? undefined : operator(a, b));
const { SyntaxKind } = ts;
const UNARY = { [SyntaxKind.MinusToken]: (a) => -a, [SyntaxKind.TildeToken]: (a) => (a === undefined ? undefined : ~a) };
const BINARY = {
  [SyntaxKind.PlusToken]: known((a, b) => a + b),
  [SyntaxKind.MinusToken]: known((a, b) => a - b),
  [SyntaxKind.AsteriskToken]: known((a, b) => a * b),
  [SyntaxKind.SlashToken]: known((a, b) => a / b),
  [SyntaxKind.AsteriskAsteriskToken]: known((a, b) => a ** b),
  [SyntaxKind.BarToken]: known((a, b) => a | b),
  [SyntaxKind.AmpersandToken]: known((a, b) => a & b),
  [SyntaxKind.LessThanLessThanToken]: known((a, b) => a << b),
  [SyntaxKind.GreaterThanGreaterThanToken]: known((a, b) => a >> b),
  [SyntaxKind.GreaterThanGreaterThanGreaterThanToken]: known((a, b) => a >>> b),
};
