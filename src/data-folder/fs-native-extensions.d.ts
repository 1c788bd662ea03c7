/** Types for the part of `fs-native-extensions` that Vitrine uses; the package has none. */
declare module 'fs-native-extensions' {
  /** Takes an exclusive lock on an open, writable file. Returns false if another open file holds it. */
  export function tryLock(fd: number): boolean;
  export function unlock(fd: number): void;
}
