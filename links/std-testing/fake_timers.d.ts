export interface Clock {
  readonly now: number;
  tick(ms: number): number;
  tickAsync(ms: number): Promise<number>;
  uninstall(): void;
}
export declare function install(config: { now: number; toFake: string[] }): Clock;
