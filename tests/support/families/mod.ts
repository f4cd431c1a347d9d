/**
 * Families of models as the tests know them: chat templates of our own, each a few lines that write thoughts and calls
 * in the form of a family of models, and the tokens they are written with.
 */
import {
  ASKED,
  CHARACTER_DATA,
  CHATML,
  CODER,
  HERMES,
  HERMES_UNSEEN,
  LED,
  LINES,
  LISTED,
  PYTHON,
  PYTHON_LINES,
  PYTHON_UNSEEN,
} from "./chatml.ts";
import { DSML, INVOKES, KEYS_AND_VALUES, KEYS_IN_SECTION, NESTED, SEED } from "./elements.ts";
import type { Family } from "./family.ts";
import { BARE, BARE_LIST, BARE_PYTHON, FUNCTION_TAG, LLAMA, RECIPIENT } from "./headers.ts";
import { COMMAND, HARMONY, KINDS, TYPED } from "./messages.ts";
import { MISTRAL, MISTRAL_ARGS, MISTRAL_IDS } from "./mistral.ts";
import { DEEPSEEK_R1, DEEPSEEK_V31, GEMMA, HEADED_CALL, KEYED, KIMI, ONE_CALL, TOLD, WORD } from "./sections.ts";

export * from "./chatml.ts";
export * from "./elements.ts";
export * from "./family.ts";
export * from "./headers.ts";
export * from "./messages.ts";
export * from "./mistral.ts";
export * from "./sections.ts";

/** Families whose templates render calls. */
export const CALLING: readonly Family[] = [
  ...[HERMES, CODER, CHARACTER_DATA, LISTED, LINES, LED, PYTHON, PYTHON_LINES],
  ...[LLAMA, BARE, BARE_LIST, BARE_PYTHON, FUNCTION_TAG, RECIPIENT],
  ...[MISTRAL, MISTRAL_IDS, MISTRAL_ARGS],
  ...[KEYS_AND_VALUES, KEYS_IN_SECTION, DSML, INVOKES, NESTED, SEED],
  ...[KIMI, DEEPSEEK_V31, DEEPSEEK_R1, KEYED, GEMMA, ONE_CALL, HEADED_CALL, WORD],
  ...[HARMONY, KINDS, COMMAND, TYPED],
];

/** Families that make calls, but whose templates render none. */
export const UNSEEN: readonly Family[] = [PYTHON_UNSEEN, HERMES_UNSEEN, ASKED, TOLD];

/** All of them. */
export const FAMILIES: readonly Family[] = [...CALLING, ...UNSEEN, CHATML];
