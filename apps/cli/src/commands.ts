// All commands, in the order of the help. Their packages load only when a job runs.
import type { Command } from './command.ts'
import { doctor } from './commands/doctor.ts'

export const commands: readonly Command[] = [doctor]
