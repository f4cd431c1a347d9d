/** Compiles statements into functions, with Jinja's scoping rules. */
import type { Work } from "../../../work/work.ts";
import { Problem } from "../values/error.ts";
import { Namespace } from "../library/globals.ts";
import type { Body, Expression, Parameter, Statement, Target } from "../syntax/ast.ts";
import { TextBuilder } from "../values/text.ts";
import { isTrue, itemsOf, Range, type Run, type Value } from "../values/values.ts";
import { compileArguments, compileExpression, type Place } from "./expressions.ts";
import { Items, Loop } from "./loop.ts";
import { type Definition, Macro } from "./macro.ts";
import type { Evaluate, Execute, Outcome, Scope } from "./rendering.ts";

type For = Extract<Statement, { kind: "for" }>;

export class Compiler {
  /** For each enclosing macro and loop: the names its body reads. */
  readonly #readers: Set<string>[] = [];

  /** Compile statements into one function. */
  compile(body: Body, soft = false): Execute {
    const steps = body.map((statement) => this.#statement(statement, soft));
    const [only] = steps;
    if (steps.length === 1 && only !== undefined) return only;
    return withPieces(
      steps,
      (scope, out) => {
        for (const step of steps) {
          const outcome = step(scope, out);
          if (outcome !== "done") return outcome;
        }
        return "done";
      },
      function* (scope, out): Work<Outcome> {
        for (const step of steps) {
          const outcome = yield* inPieces(step, scope, out);
          if (outcome !== "done") return outcome;
        }
        return "done";
      },
    );
  }

  #expression(expression: Expression, soft: boolean): Evaluate {
    return compileExpression(expression, this.#place(soft));
  }

  #statement(statement: Statement, soft: boolean): Execute {
    const { line } = statement;
    switch (statement.kind) {
      case "text": {
        const { text } = statement;
        return (scope, out) => {
          scope.run.line = line;
          out.push(text);
          return "done";
        };
      }
      case "print": {
        const value = this.#expression(statement.value, soft);
        return (scope, out) => {
          const result = value(scope);
          scope.run.line = line;
          out.push(scope.run.print(result));
          return "done";
        };
      }
      case "do": {
        const value = this.#expression(statement.value, soft);
        return (scope) => {
          value(scope);
          return "done";
        };
      }
      case "if": {
        const branches = statement.branches.map(([test, body]) => ({
          test: this.#expression(test, true),
          body: this.compile(body, true),
        }));
        const otherwise = this.compile(statement.otherwise, true);
        const choose = (scope: Scope): Execute => branches.find(({ test }) => isTrue(test(scope)))?.body ?? otherwise;
        return withPieces(
          [...branches.map(({ body }) => body), otherwise],
          (scope, out) => choose(scope)(scope, out),
          (scope, out) => inPieces(choose(scope), scope, out),
        );
      }
      case "for":
        return this.#for(statement, soft);
      case "break":
        return () => "break";
      case "continue":
        return () => "continue";
      case "set":
      case "set_block": {
        const { target } = statement;
        const value = statement.kind === "set"
          ? this.#expression(statement.value, soft)
          : this.#block(statement.body, statement.filter);
        return (scope) => {
          const result = value(scope);
          scope.run.line = line;
          assign(scope, target, result);
          return "done";
        };
      }
      case "filter_block": {
        const text = this.#block(statement.body, statement.filter);
        return (scope, out) => {
          const result = scope.run.print(text(scope));
          scope.run.line = line;
          out.push(result);
          return "done";
        };
      }
      case "with": {
        const values = statement.values.map(([target, value]) => ({ target, value: this.#expression(value, soft) }));
        const body = this.compile(statement.body);
        const enter = (scope: Scope): Scope => {
          const inner = scope.inner();
          for (const { target, value } of values) {
            const result = value(scope);
            scope.run.line = line;
            assign(inner, target, result);
          }
          return inner;
        };
        return withPieces(
          [body],
          (scope, out) => body(enter(scope), out),
          (scope, out) => inPieces(body, enter(scope), out),
        );
      }
      case "generation":
        return this.compile(statement.body, soft);
      case "macro": {
        const definition = this.#macro(statement.name, statement.parameters, statement.body);
        return (scope) => {
          scope.set(statement.name, new Macro(definition, scope));
          return "done";
        };
      }
      case "call_block": {
        const { call } = statement;
        if (call.kind !== "call") throw new Error("The parser lets only calls through");
        const callee = this.#expression(call.callee, soft);
        const pass = compileArguments(call.args, this.#place(soft));
        const definition = this.#macro("caller", statement.parameters, statement.body);
        return (scope, out) => {
          const called = callee(scope);
          const { args, named } = pass(scope);
          scope.run.line = line;
          const result = scope.run.call(called, args, new Map([...named, ["caller", new Macro(definition, scope)]]));
          out.push(scope.run.print(result));
          return "done";
        };
      }
    }
  }

  #place(soft: boolean): Place {
    return { soft, onName: (name): void => this.#readers.forEach((reads) => reads.add(name)) };
  }

  /** The filtered text of a block. */
  #block(body: Body, filter: Expression): Evaluate {
    const run = this.compile(body);
    const filters = this.#expression(filter, false);
    return (scope) => {
      const inner = scope.inner();
      const out = new TextBuilder();
      run(inner, out);
      inner.block = out.text();
      return filters(inner);
    };
  }

  #macro(name: string, parameters: readonly Parameter[], body: Body): Definition {
    const reads = new Set<string>();
    this.#readers.push(reads);
    const definition = {
      name,
      parameters: parameters.map(({ name, fallback }) => ({
        name,
        fallback: fallback && this.#expression(fallback, false),
      })),
      body: this.compile(body),
      reads,
    };
    this.#readers.pop();
    return definition;
  }

  #for(statement: For, soft: boolean): Execute {
    const { target, line, recursive } = statement;
    const items = this.#expression(statement.items, soft);
    const test = statement.test && this.#expression(statement.test, false);
    // `loop` is set only where the body reads it.
    const reads = new Set<string>();
    this.#readers.push(reads);
    const body = this.compile(statement.body);
    this.#readers.pop();
    const otherwise = this.compile(statement.otherwise);

    const begin = (scope: Scope, value: Value, depth0: number): Rounds => {
      const { run } = scope;
      const fits = test && ((item: Value): boolean => {
        const inner = scope.inner();
        run.spend(1);
        assign(inner, target, item);
        return isTrue(test(inner));
      });
      const recurse = (_run: Run, items: Value, depth0: number): Value =>
        run.within(() => {
          const inner = new TextBuilder();
          iterate(begin(scope, items, depth0), inner);
          return inner.text();
        });
      const loop = new Loop(
        new Items(value instanceof Range ? value : itemsOf(value), fits),
        depth0,
        recursive ? recurse : undefined,
      );
      return {
        scope,
        next: () => {
          const item = loop.next();
          if (item === undefined) return undefined;
          run.line = line;
          run.spend(1);
          const inner = scope.inner();
          if (reads.has("loop")) inner.set("loop", loop);
          assign(inner, target, item);
          return inner;
        },
      };
    };
    const iterate = (rounds: Rounds, out: TextBuilder): void => {
      // As in Jinja: a round that ends early does not keep the `else` from running.
      let completed = false;
      for (let inner = rounds.next(); inner !== undefined; inner = rounds.next()) {
        const outcome = body(inner, out);
        if (outcome === "break") break;
        completed ||= outcome === "done";
      }
      if (!completed) otherwise(rounds.scope.inner(), out);
    };
    const iterateInPieces = function* (rounds: Rounds, out: TextBuilder): Work<void> {
      let completed = false;
      for (let inner = rounds.next(); inner !== undefined; inner = rounds.next()) {
        const outcome = yield* inPieces(body, inner, out);
        if (rounds.scope.run.pieceDone) yield;
        if (outcome === "break") break;
        completed ||= outcome === "done";
      }
      if (!completed) yield* inPieces(otherwise, rounds.scope.inner(), out);
    };
    const start = (scope: Scope): Rounds => {
      const value = items(scope);
      scope.run.line = line;
      return begin(scope, value, 0);
    };

    return Object.assign(
      (scope: Scope, out: TextBuilder): Outcome => {
        iterate(start(scope), out);
        return "done";
      },
      {
        pieces: function* (scope: Scope, out: TextBuilder): Work<Outcome> {
          yield* iterateInPieces(start(scope), out);
          return "done";
        },
      },
    );
  }
}

interface Rounds {
  /** The scope of the loop. */
  readonly scope: Scope;
  /** The scope of the next round; `undefined` at the end. */
  next(): Scope | undefined;
}

/** A compound statement can run in time slices if one of its parts can. */
function withPieces(parts: readonly Execute[], execute: Execute, pieces: NonNullable<Execute["pieces"]>): Execute {
  return parts.some((part) => part.pieces !== undefined) ? Object.assign(execute, { pieces }) : execute;
}

function* inPieces(execute: Execute, scope: Scope, out: TextBuilder): Work<Outcome> {
  return execute.pieces === undefined ? execute(scope, out) : yield* execute.pieces(scope, out);
}

function assign(scope: Scope, target: Target, value: Value): void {
  if (target.kind === "name") {
    scope.set(target.name, value);
  } else if (target.kind === "namespace") {
    const namespace = scope.get(target.name);
    if (!(namespace instanceof Namespace)) {
      throw new Problem(`Cannot assign to "${target.name}.${target.attribute}": "${target.name}" is no namespace`);
    }
    namespace.names.set(target.attribute, value);
  } else {
    const items = itemsOf(value);
    if (items.length > target.items.length) {
      throw new Problem(`too many values to unpack (expected ${target.items.length})`);
    }
    if (items.length < target.items.length) {
      throw new Problem(`not enough values to unpack (expected ${target.items.length}, got ${items.length})`);
    }
    target.items.forEach((part, i) => assign(scope, part, items[i] as Value));
  }
}
