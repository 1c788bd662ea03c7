import { Connection } from 'pg';

/** The messages with which `pg` sends SQL. Its type declarations lack them. */
interface Protocol {
  parse: (this: unknown, statement: { readonly text: string }) => void;
  query: (this: unknown, text: string) => void;
}

/** What a condition on the tenant looks like: a comparison of a column with a parameter, or with the id of a named tenant. */
const condition =
  /(?<![\w."])(?:(?:"?\w+"?\.)?"?tenant_id"?|"?t"?\."?id"?) = (?:\$\d+(?:::int)?|\(SELECT id FROM tenants WHERE name = \$\d+\))/g;

/** Returns a statement with all conditions on the tenant replaced by conditions that are always true. */
export function withoutTenantConditions(text: string): string {
  // The parameters stay, so that the server still knows their types.
  return text.replaceAll(condition, (match) => `(true OR ${match})`);
}

/**
 * Takes the conditions on the tenant out of all statements that this process sends on connections that are opened from now
 * on. Returns a function that ends this, and one that returns how many statements had such conditions.
 */
export function removeTenantConditions(): { readonly restore: () => void; readonly changed: () => number } {
  const protocol = Connection.prototype as unknown as Protocol;
  const { parse, query } = protocol;
  let changedCount = 0;
  function change(text: string): string {
    const changedText = withoutTenantConditions(text);
    if (changedText !== text) changedCount++;
    return changedText;
  }
  protocol.parse = function (statement) {
    parse.call(this, { ...statement, text: change(statement.text) });
  };
  protocol.query = function (text) {
    query.call(this, change(text));
  };
  return {
    restore: () => Object.assign(protocol, { parse, query }),
    changed: () => changedCount,
  };
}
