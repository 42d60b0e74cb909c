// Where slots come from: a socket each, and whoever connects gets a sandbox's init at the other end. Only the keeper may
// start one, because it may be root, and because the front may neither mount nor become anybody else.
import { spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { slotArguments, type SlotSpawn } from '../sandbox/slot-process.ts';

export type SlotDoors = {
  /** Resolves when the last process of every slot is gone. Their connections have to be closed. */
  readonly close: () => Promise<void>;
};

export type SlotDoorsOptions = {
  readonly directory: string;
  readonly slots: number;
  readonly spawnOf: (index: number) => SlotSpawn;
  /** Who may connect, beside this user. */
  readonly group: number | undefined;
};

export const doorName = (index: number): string => `slot-${index}`;

type Door = { readonly server: Server; readonly gone: () => Promise<void> };

async function openDoor(path: string, spawnOf: () => SlotSpawn): Promise<Door> {
  let running: Promise<void> = Promise.resolve();
  // A slot's connection ends a moment before this process hears of it: the next one waits that long.
  let next: Socket | undefined;
  let isRunning = false;
  const start = (socket: Socket): void => {
    const child = spawn(spawnOf().initPath, slotArguments(spawnOf()), {
      stdio: [socket, socket, 'ignore'],
      env: {},
      cwd: '/',
    });
    socket.destroy();
    isRunning = true;
    running = new Promise((resolve) => {
      const over = (): void => {
        isRunning = false;
        resolve();
        const waiting = next;
        next = undefined;
        if (waiting !== undefined) start(waiting);
      };
      child.once('exit', over);
      child.once('error', over);
    });
  };
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    if (!isRunning) return start(socket);
    next?.destroy();
    next = socket;
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  const gone = async (): Promise<void> => {
    next?.destroy();
    next = undefined;
    await running;
  };
  return { server, gone };
}

export async function openSlotDoors({ directory, slots, spawnOf, group }: SlotDoorsOptions): Promise<SlotDoors> {
  // Of a worker that was killed.
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
  // A socket's path is bounded to 107 bytes, a state directory's is not: by its descriptor it is always short.
  const fd = openSync(directory, 'r');
  const doors: Door[] = [];
  for (let index = 0; index < slots; index += 1) {
    const path = `/proc/self/fd/${fd}/${doorName(index)}`;
    doors.push(await openDoor(path, () => spawnOf(index)));
    chmodSync(path, group === undefined ? 0o600 : 0o660);
    if (group !== undefined) chownSync(path, 0, group);
  }
  const close = async (): Promise<void> => {
    for (const { server } of doors) server.close();
    await Promise.all(doors.map(({ gone }) => gone()));
    closeSync(fd);
  };
  return { close };
}
