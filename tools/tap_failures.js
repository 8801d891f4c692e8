/** Finds in tap's report the assertions that failed, each with the tests around it and what tap says of it. */
export class TapFailures {
  text = '';
  #around = [];
  #told = -1;

  read(line) {
    const depth = line.search(/\S/) / 4;
    const [, title] = /^# Subtest: (.*)/.exec(line.trimStart()) ?? [];
    if (title !== undefined) this.#around.splice(Math.ceil(depth), Infinity, title);
    const [, failure] = /^not ok \d+ - (.*)/.exec(line.trimStart()) ?? [];
    if (failure !== undefined && !failure.startsWith(this.#around[depth])) {
      this.text += `# failed: ${[...this.#around.slice(0, depth), failure].join(' > ')}\n`;
      this.#told = depth;
    } else if (this.#told >= 0 && line !== '' && depth > this.#told) {
      this.text += `#   ${line.trim()}\n`;
    } else {
      this.#told = -1;
    }
  }
}
