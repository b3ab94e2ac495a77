// What a command is: an option table and three functions, or two for one that serves until it is stopped. `spec` judges
// the options on the main thread before any work starts; `job` does the work in the job's worker thread (job.ts) and sees
// only plain data; `present` writes the result for a person. With --json the result itself is the output.
// Help must come at once: a command file imports the engine's packages inside `job`, not at its top.
import type { OptionTable, Values } from './option_table.ts'

/** How far a stage of a job is. */
export type Progress = {
  /** What is being done, e.g. `training 4 SAEs`. */
  stage: string
  done: number
  total: number
  /** What `done` and `total` count, e.g. `tokens`. */
  unit: string
  /** Figures to show beside it, e.g. `{ fvu: 0.21 }`. */
  figures?: Record<string, number | string | null>
}

/** What a job tells while it works; posted from its thread to the main thread. */
export type JobEvent =
  | { kind: 'progress'; progress: Progress; wire?: WireEvent }
  | { kind: 'note'; text: string }

/** An event of the wire vocabulary (`extraction:progress` …): what --events prints in place of `job:progress`. */
type WireEvent = { event: string } & Record<string, unknown>

export type JobContext = {
  progress(progress: Progress, wire?: WireEvent): void
  note(text: string): void
  /** True once Ctrl-C asked the job to save and return. */
  signal: { stopped(): boolean }
  /** Shared memory that the command's monitor watches on the main thread. */
  board?: SharedArrayBuffer
}

/** Watches a board on the main thread, where timers run while the job computes. */
export type Monitor = {
  board: SharedArrayBuffer
  end(outcome: { failed?: string; stopped?: boolean }): void
}

/** A result of a job that Ctrl-C ended says where it saved what it had. */
export type Stopped = { stopped?: { savedTo: string; how: string } }

/** Thrown by a job that Ctrl-C ended and that leaves nothing: the message says so. Exit code 130. */
export class StoppedEarly extends Error {}

type Described = {
  /** The words that call it, e.g. `sae train`. */
  name: string
  summary: string
  /** Further paragraphs of the help. */
  details?: string
  options: OptionTable
  spec(values: Record<string, unknown>): unknown
}

export type JobCommand = Described & {
  job(spec: unknown, context: JobContext): Promise<unknown>
  monitor?(spec: unknown, onEvent: (event: JobEvent) => void): Promise<Monitor>
  present(result: unknown): string | Promise<string>
  /** What --json prints; the result itself by default. */
  json?(result: unknown): unknown
  /** True when a result means failure although the job ended well (`doctor`): exit code 1. */
  failed?(result: unknown): boolean
}

/** What a command that serves has from the process around it. */
export type ServeContext = {
  /** The answer on stdout should be JSON. */
  json: boolean
  print(text: string): void
  /** To stderr. */
  note(text: string): void
  /** The first Ctrl-C; a second one ends the process at once. */
  stopped: Promise<void>
}

/** A command that lives until it is stopped; it computes nothing itself, so it runs on the main thread. */
export type ServeCommand = Described & { serve(spec: unknown, context: ServeContext): Promise<void> }

export type Command = JobCommand | ServeCommand

/** As `defineCommand`, for a command that serves. */
export function defineServer<T extends OptionTable, Spec>(command: {
  name: string
  summary: string
  details?: string
  options: T
  spec(values: Values<T>): Spec
  serve(spec: Spec, context: ServeContext): Promise<void>
}): Command {
  return command as unknown as ServeCommand
}

/**
 * A command with the types of its values, spec and result checked against each other. `Spec` and `Result` must
 * survive a structured clone.
 */
export function defineCommand<T extends OptionTable, Spec, Result>(command: {
  name: string
  summary: string
  details?: string
  options: T
  spec(values: Values<T>): Spec
  job(spec: Spec, context: JobContext): Promise<Result>
  monitor?(spec: Spec, onEvent: (event: JobEvent) => void): Promise<Monitor>
  present(result: Result): string | Promise<string>
  json?(result: Result): unknown
  failed?(result: Result): boolean
}): Command {
  return command as unknown as JobCommand
}

const commonOptions = {
  json: { kind: 'flag', help: 'print one JSON object instead of text' },
  events: { kind: 'flag', help: 'print progress as JSON lines on stdout' },
  help: { kind: 'flag', help: 'print this help' },
} as const satisfies OptionTable

/** A command's own options and those that every command has; one that serves has no progress to tell of. */
export function optionsOf(command: Command): OptionTable & typeof commonOptions {
  const { events, ...rest } = commonOptions
  return { ...command.options, ...rest, ...('job' in command && { events }) } as OptionTable &
    typeof commonOptions
}
