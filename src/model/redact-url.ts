/** Replaces whatever is secret. */
const placeholder = '[hidden]';

/**
 * Matches the names of parameters that contain credentials. Before matching, a name is reduced to lower-case letters and
 * digits. Covers the signatures, tokens and keys of AWS, Google Cloud, Azure, CloudFront, Alibaba, Tencent, Akamai, Dropbox,
 * Facebook and Discord, and names that are common in APIs.
 */
const secretNames =
  /^(?:sig|sign|policy|keypairid|qak|googleaccessid|hdn(?:ea|ts|tl)|hmac|hm|oh|gda|verify|md5|st|rlkey|jwt|sid|session(?:id)?|key|auth(?:key|orization)?|pwd|pass|bearer|otp)$/;

/** Matches words that mark a longer name as secret, as in `X-Amz-Security-Token` and `client_secret`. */
const secretWords = /signature|token|secret|passw|credential|apikey|accesskey|privatekey|sessionkey/;

/**
 * Matches the start of a parameter, up to its `=`. Also matches the parameters of a URL that is itself a parameter value,
 * even if it was escaped several times.
 */
const parameterStart =
  /(?:[?&;#]|%(?:25)*(?:3f|26|3b|23))((?:[^=&;#?%\s"]|%(?!(?:25)*(?:3d|26|3f|3b|23))[\da-f]{2}){1,100})(=|%(?:25)*3d)/gi;

/** Matches the user name and the password before a host. */
const userInfo = /([a-z][a-z\d+.-]{1,20}:[/\\]{1,4}|https?:)[^/\\?#\s"']{0,500}@/gi;

/** Matches an API key. Its id is public. */
const apiKey = /(vitrine_[\da-f]{16}_)[\da-z]{43,}/gi;

/**
 * Matches the signature in the path of a URL for delivery: an HMAC-SHA-256 in base64url, after the expiry. Such a URL may be misspelled in
 * another place, so that it matches no route but its signature is valid.
 */
const pathSignature = /(\.\d{9,11}\.)[\w-]{43}(?![\w-])/g;

/**
 * Redacts API keys, and signatures, tokens and passwords in all URLs in `text`. Call this wherever an imported URL is
 * displayed. Only the download needs the complete URL.
 */
export function redactSecrets(text: string): string {
  const withoutKeys = text.replace(apiKey, `$1${placeholder}`).replace(pathSignature, `$1${placeholder}`);
  if (!/[@=]|%(?:25)*3d/i.test(withoutKeys)) return withoutKeys;
  return redactParameters(withoutKeys.replace(userInfo, `$1${placeholder}@`));
}

/** Matches the query and the fragment of a URL, after its path. */
const queryOfUrl = /([a-z][a-z\d+.-]{1,20}:[/\\]{2}[^\s"'<>?#\\]*)[?#][^\s"'<>\\]*/gi;

/** Matches other text that looks like a query, such as that of a relative or an invalid URL. */
const looseQuery = /\?[^\s"'<>?\\]*=[^\s"'<>\\]*/g;

/**
 * Redacts what `redactSecrets` does, and also the whole query of each URL in `text`. The query of a source is nobody's
 * business but its tenant's: it may contain secrets under names that nobody knows.
 */
export function redactQueries(text: string): string {
  const redactedText = redactSecrets(text);
  if (!/[?#]/.test(redactedText)) return redactedText;
  return redactedText.replace(queryOfUrl, `$1?${placeholder}`).replace(looseQuery, `?${placeholder}`);
}

function redactParameters(text: string): string {
  let redactedText = '';
  let position = 0;
  for (const match of text.matchAll(parameterStart)) {
    const start = match.index + match[0].length;
    // This match is within a value that has already been redacted.
    if (match.index < position) continue;
    // The check needs only the start of the value. Its end is searched for only if the value is secret.
    if (!isSecret(match[1] ?? '', text.slice(start, start + 100))) continue;
    const end = findValueEnd(text, start, match[2] !== '=');
    redactedText += text.slice(position, start) + placeholder;
    position = end;
  }
  return redactedText + text.slice(position);
}

function findValueEnd(text: string, start: number, isEscaped: boolean): number {
  const endPattern = isEscaped ? /[&#\s"'<>\\]|%(?:25)*(?:26|23)|$/gi : /[&#\s"'<>\\]|$/g;
  endPattern.lastIndex = start;
  return endPattern.exec(text)?.index ?? text.length;
}

/** @param valueStart the start of the parameter's value, or the whole value and the text after it */
function isSecret(name: string, valueStart: string): boolean {
  const plainName = unescapeName(name)
    .toLowerCase()
    .replaceAll(/[^a-z\d]/g, '');
  if (secretNames.test(plainName) || secretWords.test(plainName)) return /^[^&#\s"]/.test(valueStart);
  // The `s` parameter may contain an imgix signature, and any parameter may contain a JWT.
  return plainName === 's'
    ? /^[\da-f]{32}(?![\da-z])/i.test(valueStart)
    : /^eyJ[\w-]{8,}\.[\w-]+/.test(valueStart);
}

function unescapeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
