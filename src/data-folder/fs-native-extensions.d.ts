/** Types for the part of `fs-native-extensions` that Vitrine uses. The package itself contains no types. */
declare module 'fs-native-extensions' {
  /** Acquires an exclusive lock on an open, writable file. Returns false if the file is already locked. */
  export function tryLock(fd: number): boolean;
  export function unlock(fd: number): void;
}
