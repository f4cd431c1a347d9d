/**
 * The subset of `@std/testing/time` this project's tests use, over `@sinonjs/fake-timers`. Stands in only where JSR
 * cannot be reached.
 */
// @ts-types="./fake_timers.d.ts"
import { type Clock, install } from "npm:@sinonjs/fake-timers@15.0.0";

/** Replaces the clock and the timers until `restore`. */
export class FakeTime {
  readonly #clock: Clock;
  constructor(start?: number | string | Date | null) {
    this.#clock = install({
      now: start === undefined || start === null ? Date.now() : new Date(start).getTime(),
      toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
    });
  }
  get now(): number {
    return this.#clock.now;
  }
  tick(ms = 0): void {
    this.#clock.tick(ms);
  }
  async tickAsync(ms = 0): Promise<void> {
    await this.#clock.tickAsync(ms);
  }
  restore(): void {
    this.#clock.uninstall();
  }
  [Symbol.dispose](): void {
    this.restore();
  }
}
