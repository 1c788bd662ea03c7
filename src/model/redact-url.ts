const hidden = '[hidden]';

/**
 * Parameters that contain credentials, in lower-case letters and digits only: signatures, tokens and keys of AWS,
 * Google Cloud, Azure, CloudFront, Alibaba, Tencent, Akamai, Dropbox, Facebook and Discord, and common names in APIs.
 */
const secretNames =
  /^(?:sig|sign|policy|keypairid|qak|googleaccessid|hdn(?:ea|ts|tl)|hmac|hm|oh|gda|verify|md5|st|rlkey|jwt|sid|session(?:id)?|key|auth(?:key|orization)?|pwd|pass|bearer|otp)$/;

/** The same inside longer names, such as `X-Amz-Security-Token` and `client_secret`. */
const secretWords = /signature|token|secret|passw|credential|apikey|accesskey|privatekey|sessionkey/;

/** Start of a parameter, up to its `=`. Also matches within a parameter that contains a URL, escaped any number of times. */
const parameter =
  /(?:[?&;#]|%(?:25)*(?:3f|26|3b|23))((?:[^=&;#?%\s"]|%(?!(?:25)*(?:3d|26|3f|3b|23))[\da-f]{2}){1,100})(=|%(?:25)*3d)/gi;

/** A user name and a password before a host. */
const userInfo = /([a-z][a-z\d+.-]{1,20}:[/\\]{1,4}|https?:)[^/\\?#\s"']{0,500}@/gi;

/**
 * Redacts signatures, tokens and passwords in the URLs of a text. Use it wherever the URL of an import is logged or shown;
 * only the download needs the whole URL.
 */
export function redactSecrets(text: string): string {
  if (!/[@=]|%(?:25)*3d/i.test(text)) return text;
  return redactParameters(text.replace(userInfo, `$1${hidden}@`));
}

function redactParameters(text: string): string {
  let redacted = '';
  let from = 0;
  for (const match of text.matchAll(parameter)) {
    const start = match.index + match[0].length;
    // Within a value that is already redacted.
    if (match.index < from) continue;
    // The check needs only a prefix. The end of the value is searched for only if it is secret.
    if (!isSecret(match[1] ?? '', text.slice(start, start + 100))) continue;
    const end = endOfValue(text, start, match[2] !== '=');
    redacted += text.slice(from, start) + hidden;
    from = end;
  }
  return redacted + text.slice(from);
}

function endOfValue(text: string, start: number, isEscaped: boolean): number {
  const end = isEscaped ? /[&#\s"'<>\\]|%(?:25)*(?:26|23)|$/gi : /[&#\s"'<>\\]|$/g;
  end.lastIndex = start;
  return end.exec(text)?.index ?? text.length;
}

/** @param value a prefix of the value, possibly with text that follows it */
function isSecret(name: string, value: string): boolean {
  const plain = unescaped(name)
    .toLowerCase()
    .replaceAll(/[^a-z\d]/g, '');
  if (secretNames.test(plain) || secretWords.test(plain)) return /^[^&#\s"]/.test(value);
  // Signatures of imgix, and JWTs in any parameter.
  return plain === 's' ? /^[\da-f]{32}(?![\da-z])/i.test(value) : /^eyJ[\w-]{8,}\.[\w-]+/.test(value);
}

function unescaped(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
