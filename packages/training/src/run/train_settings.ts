// The members of a run, checked and completed together; run_settings.ts has what they share.
import { InputError } from '@mistudio/files'
import { wireName } from '../fields.ts'
import { type CompleteMember, completeMember, type TrainMember } from '../member.ts'
import { decidingSettings, type Run, runFields } from '../run_settings.ts'
import { checkFileNames } from './checkpoint.ts'

/** Names in a run's folder that are not SAEs. */
const reserved: readonly string[] = ['checkpoints', 'retries', 'training.json']

/** @throws InputError naming the setting and, where there are several, the SAE */
export function completeMembers(options: {
  members: readonly TrainMember[]
  run: Run
  widthOf: (hook: string) => number
}): CompleteMember[] {
  const { members, run, widthOf } = options
  if (members.length === 0) {
    throw new InputError({
      message: 'there is no SAE to train',
      field: 'hook',
      found: '0',
      expected: 'at least 1',
    })
  }
  checkFileNames(members.map(({ name }) => name))
  for (const { name } of members) {
    if (/^[^./\\][^/\\]*$/.test(name) && !reserved.includes(name)) continue
    throw new InputError({
      message: 'the name of an SAE must be a valid folder name',
      field: 'name',
      found: name,
      expected: `no slash, no leading dot, none of ${reserved.join(', ')}`,
    })
  }
  const { batchSize, totalSteps, trainTokens } = run
  const known = Object.keys(runFields).map(wireName)
  return members.map(member => completeMember({ member, widthOf, batchSize, totalSteps, trainTokens, known }))
}

/** Everything that decides the weights of a run, as plain JSON under wire names. */
export function describeRun(options: {
  run: Run
  members: readonly CompleteMember[]
  modelName: string
  datasets: readonly string[]
  contextSize: number
}): Record<string, unknown> {
  const { run, members, modelName, datasets, contextSize } = options
  return JSON.parse(
    JSON.stringify({
      ...decidingSettings(run),
      members: Object.fromEntries(members.map(({ name, described }) => [name, described])),
      hook_widths: Object.fromEntries(
        members.flatMap(({ hooks }) =>
          [...hooks.inputs, ...hooks.outputs].map(({ hook, width }) => [hook, width]),
        ),
      ),
      model: modelName,
      datasets,
      context_size: contextSize,
    }),
  )
}
