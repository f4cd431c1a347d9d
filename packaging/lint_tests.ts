/**
 * Rules of `deno lint` for the tests: they set no timers of their own, for a test that sleeps is slow on a fast machine
 * and fails on a slow one; and each asserts something where it can be seen.
 */

/** Where timers are allowed: the helper of all tests, and what runs for a time by its nature. */
const HAS_TIMERS = /\/tests\/(support\/waiting\.ts$|soak\/)/;
const TIMERS = ["setTimeout", "setInterval", "setImmediate", "delay", "sleep"];
const TEST = /^(Deno\.test|browserTest)$/;
const ASSERTION = /\bassert\w*[(<]/;

const noTimers: Deno.lint.Rule = {
  create: (context) => {
    if (!context.filename.includes("/tests/") || HAS_TIMERS.test(context.filename)) return {};
    return {
      Identifier(node): void {
        if (!TIMERS.includes(node.name) || !isUsed(node)) return;
        context.report({
          node,
          message: `A test must not wait with "${node.name}"`,
          hint: "Await the event, use FakeTime, or poll with eventually() of tests/support/waiting.ts",
        });
      },
    };
  },
};

const asserts: Deno.lint.Rule = {
  create: (context) => ({
    CallExpression(node): void {
      if (
        !context.filename.endsWith("_test.ts") || !TEST.test(context.sourceCode.getText(node.callee)) ||
        ASSERTION.test(context.sourceCode.getText(node))
      ) {
        return;
      }
      context.report({
        node: node.callee,
        message: "A test asserts nothing",
        hint: "Say what has to be true at its end; a helper that asserts has a name like assertRefused",
      });
    },
  }),
};

/** Whether a name is called or handed on, not imported, declared or asked for its type. */
function isUsed(node: Deno.lint.Identifier): boolean {
  const { parent } = node;
  if (parent.type === "CallExpression" || parent.type === "NewExpression") return true;
  return parent.type === "MemberExpression" && parent.property === node;
}

export default { name: "tests", rules: { "no-timers": noTimers, asserts } } satisfies Deno.lint.Plugin;
