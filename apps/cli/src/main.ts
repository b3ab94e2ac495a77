// The `mistudio` command: finds the command, lets it judge its options, runs its job in a thread, prints.
// Exit codes: 0 done, 1 failed, 2 bad usage, 130 stopped by Ctrl-C.
// Results go to stdout, everything else (progress, notes, errors) to stderr.
import { readFileSync } from 'node:fs'
import { InputError } from '@mistudio/files'
import { commands } from './commands.ts'
import { nearest, parseOptions } from './frame/arguments.ts'
import { type Command, optionsOf, type ServeCommand, StoppedEarly } from './frame/command.ts'
import { helpOfAll, helpOfCommand } from './frame/help.ts'
import { UsageError } from './frame/option_table.ts'
import { perform } from './frame/perform.ts'
import { onStopSignals } from './frame/signals.ts'

/** Runs one command line and returns the exit code. */
async function main(words: readonly string[]): Promise<number> {
  const found = find(words)
  if (found === undefined) return 0
  const { command, rest } = found
  if (rest.includes('--help') || rest.includes('-h')) {
    print(helpOfCommand({ command }))
    return 0
  }
  const table = optionsOf(command)
  const { json, events, help: _, ...values } = parseOptions({ command: command.name, table, words: rest })
  const spec = command.spec(values)
  if ('serve' in command) return await serve({ command, spec, json })
  const worker = new URL('./job_worker.ts', import.meta.url)
  const printEvents = events ? print : undefined
  const { result, stopped } = await perform({ command, spec, worker, printEvents })
  if (json) print(JSON.stringify(command.json?.(result) ?? result))
  else {
    const text = await command.present(result)
    if (events) process.stderr.write(`${text}\n`)
    else print(text)
  }
  if (stopped) return 130
  return command.failed?.(result) ? 1 : 0
}

/** Runs a server until the first stop signal; its clean end is a success. */
async function serve(options: { command: ServeCommand; spec: unknown; json: boolean }): Promise<number> {
  const { command, spec, json } = options
  const { promise: stopped, resolve: stop } = Promise.withResolvers<void>()
  const release = onStopSignals(stop)
  try {
    await command.serve(spec, { json, print, note: text => process.stderr.write(`${text}\n`), stopped })
    return 0
  } finally {
    release()
  }
}

/** The command that the first words name; prints the help and returns undefined where they ask for it. */
function find(words: readonly string[]): { command: Command; rest: readonly string[] } | undefined {
  const [first = '--help', second] = words
  if (first === '--help' || first === '-h' || first === 'help') {
    print(helpOfAll({ commands }))
    return undefined
  }
  if (first === '--version' || first === '-v') {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
    print(`mistudio ${version}, Node ${process.versions.node}`)
    return undefined
  }
  const alone = commands.find(({ name }) => name === first)
  if (alone !== undefined) return { command: alone, rest: words.slice(1) }
  const command = commands.find(({ name }) => name === `${first} ${second}`)
  if (command !== undefined) return { command, rest: words.slice(2) }
  const group = commands
    .filter(({ name }) => name.startsWith(`${first} `))
    .map(({ name }) => name.split(' ')[1])
  if (group.length > 0 && (second === '--help' || second === '-h')) {
    print(helpOfAll({ commands, group: first }))
    return undefined
  }
  throw new UsageError(group.length > 0 ? unknownInGroup(first, second, group) : unknownCommand(first))
}

function unknownInGroup(group: string, word: string | undefined, known: string[]): string {
  const expected = `expected: ${known.map(name => `\`${group} ${name}\``).join(', ')}`
  return word === undefined
    ? `\`${group}\` is no command by itself; ${expected}`
    : `there is no command \`${group} ${word}\`; ${expected}`
}

function unknownCommand(word: string): string {
  if (word.startsWith('-')) return `there is no option \`${word}\` before a command`
  const known = [...new Set(commands.map(({ name }) => name.split(' ')[0]))]
  const near = nearest(word, known)
  return `there is no command \`${word}\`${near === undefined ? `; expected: ${known.join(', ')}` : `; did you mean \`${near}\`?`}`
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function report(error: unknown): number {
  if (error instanceof UsageError) {
    process.stderr.write(`mistudio: ${error.message}\n\`mistudio --help\` lists the commands.\n`)
    return 2
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  process.stderr.write(`mistudio: ${message}\n`)
  if (error instanceof StoppedEarly) return 130
  if (error instanceof InputError) return 1
  const debug = process.env.MISTUDIO_DEBUG === '1'
  process.stderr.write(debug ? `${stack}\n` : 'MISTUDIO_DEBUG=1 shows where in the program this happened.\n')
  return 1
}

/**
 * When the bootstrap that started us is killed nobody may go on writing the data folder: its end closes our IPC
 * channel, perhaps before we get here.
 */
function endWithTheBootstrap(): void {
  const end = () => process.kill(process.pid, 'SIGKILL')
  if (process.env.MISTUDIO_WATCHED === '1' && !process.connected) end()
  if (!process.connected) return
  process.on('disconnect', end)
  process.channel?.unref()
}

endWithTheBootstrap()
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const code = await main(process.argv.slice(2)).catch(report)
// What is still written to a pipe must arrive before the end.
process.stdout.write('', () => process.exit(code))
