const quote = '"'.charCodeAt(0);
const backslash = '\\'.charCodeAt(0);
const openers = new Set(['[', '{'].map((char) => char.charCodeAt(0)));
const closers = new Set([']', '}'].map((char) => char.charCodeAt(0)));

/** Whether arrays and objects of a JSON text are nested more than `most` deep. One pass, without allocation. */
export function isDeeperThan(json: string, most: number): boolean {
  let depth = 0;
  let isString = false;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (isString) {
      if (code === backslash) at += 1;
      else if (code === quote) isString = false;
    } else if (code === quote) isString = true;
    else if (openers.has(code)) {
      depth += 1;
      if (depth > most) return true;
    } else if (closers.has(code)) depth -= 1;
  }
  return false;
}
