/** Several descriptors that are waited for as one (epoll(7)), for devices with a descriptor a queue. */
import { bindCall, check, close } from './syscalls.js';

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLLIN = 1;
/** At least the bytes of struct epoll_event, which begins with what is waited for; the rest of it is not looked at here. */
const EVENT_BYTES = 16;

const epollCreate = bindCall('epoll_create1', 'int', ['int']);
const epollControl = bindCall('epoll_ctl', 'int', ['int', 'int', 'int', 'void *']);

export class PollGroup {
  /** Polls readable while any of the descriptors does. */
  readonly fd: number;

  constructor(descriptors: readonly number[]) {
    this.fd = check(epollCreate(EPOLL_CLOEXEC), 'epoll_create1', 'cannot wait for several descriptors as one');
    try {
      const event = new Uint8Array(EVENT_BYTES);
      new DataView(event.buffer).setUint32(0, EPOLLIN, true);
      for (const fd of descriptors) check(epollControl(this.fd, EPOLL_CTL_ADD, fd, event), 'epoll_ctl', 'cannot wait for a descriptor');
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** One that stays in error would keep the group readable. */
  remove(descriptor: number): void {
    epollControl(this.fd, EPOLL_CTL_DEL, descriptor, null);
  }

  close(): void {
    close(this.fd);
  }
}
