// The kinds of jobs: those that the contract names (`jobKindNames`), each a file in kinds/ of that name, whose default
// export it is. So a new kind is a file there and a line in the contract, which server and web application both read.
import { type JobKind, jobKinds } from '@mistudio/contract'
import type { JobKindHandler } from './kind.ts'

/** @throws Error for a kind without its file: the server does not start then */
async function load(name: JobKind): Promise<JobKindHandler> {
  const { default: kind } = (await import(`./kinds/${name}.ts`)) as { default?: JobKindHandler }
  if (kind === undefined) throw new Error(`jobs/kinds/${name}.ts has no default export`)
  return kind
}

export const kinds = Object.fromEntries(
  await Promise.all(jobKinds.map(async name => [name, await load(name)] as const)),
) as Record<JobKind, JobKindHandler>
