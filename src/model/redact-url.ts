const placeholder = '[hidden]';

/**
 * Names of parameters that contain credentials, reduced to lower-case letters and digits: signatures, tokens and keys
 * of AWS, Google Cloud, Azure, CloudFront, Alibaba, Tencent, Akamai, Dropbox, Facebook and Discord, and names that are
 * common in APIs.
 */
const secretNames =
  /^(?:sig|sign|policy|keypairid|qak|googleaccessid|hdn(?:ea|ts|tl)|hmac|hm|oh|gda|verify|md5|st|rlkey|jwt|sid|session(?:id)?|key|auth(?:key|orization)?|pwd|pass|bearer|otp)$/;

/** Words that mark a longer name as secret, such as `X-Amz-Security-Token` and `client_secret`. */
const secretWords = /signature|token|secret|passw|credential|apikey|accesskey|privatekey|sessionkey/;

/**
 * Matches the start of a parameter, up to its `=`. Also matches within a parameter that contains a URL, escaped any
 * number of times.
 */
const parameterStart =
  /(?:[?&;#]|%(?:25)*(?:3f|26|3b|23))((?:[^=&;#?%\s"]|%(?!(?:25)*(?:3d|26|3f|3b|23))[\da-f]{2}){1,100})(=|%(?:25)*3d)/gi;

/** Matches the user name and the password before a host. */
const userInfo = /([a-z][a-z\d+.-]{1,20}:[/\\]{1,4}|https?:)[^/\\?#\s"']{0,500}@/gi;

/**
 * Redacts signatures, tokens and passwords in the URLs of a text. Call this wherever the URL of an import is logged or
 * shown; only the download needs the whole URL.
 */
export function redactSecrets(text: string): string {
  if (!/[@=]|%(?:25)*3d/i.test(text)) return text;
  return redactParameters(text.replace(userInfo, `$1${placeholder}@`));
}

function redactParameters(text: string): string {
  let redacted = '';
  let from = 0;
  for (const match of text.matchAll(parameterStart)) {
    const start = match.index + match[0].length;
    // This match is within a value that has already been redacted.
    if (match.index < from) continue;
    // The check needs only a prefix of the value. Finding its end is only worthwhile if it is secret.
    if (!isSecret(match[1] ?? '', text.slice(start, start + 100))) continue;
    const end = endOfValue(text, start, match[2] !== '=');
    redacted += text.slice(from, start) + placeholder;
    from = end;
  }
  return redacted + text.slice(from);
}

function endOfValue(text: string, start: number, isEscaped: boolean): number {
  const end = isEscaped ? /[&#\s"'<>\\]|%(?:25)*(?:26|23)|$/gi : /[&#\s"'<>\\]|$/g;
  end.lastIndex = start;
  return end.exec(text)?.index ?? text.length;
}

/** @param value a prefix of the value, possibly including text that follows it */
function isSecret(name: string, value: string): boolean {
  const plainName = unescapeName(name)
    .toLowerCase()
    .replaceAll(/[^a-z\d]/g, '');
  if (secretNames.test(plainName) || secretWords.test(plainName)) return /^[^&#\s"]/.test(value);
  // An imgix signature in `s`, or a JWT in any parameter.
  return plainName === 's' ? /^[\da-f]{32}(?![\da-z])/i.test(value) : /^eyJ[\w-]{8,}\.[\w-]+/.test(value);
}

function unescapeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
