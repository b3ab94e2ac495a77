// Templates and jobs of the test server.
import { extractionConfig, type Job, type Template } from '@mistudio/contract'
import { extractions, idOf, runningExtraction, runningTraining, time, tokenizations } from './world.ts'

export const templates: Template[] = [
  {
    id: idOf('template', 1),
    kind: 'extraction',
    name: '250K tokens, 20 examples, context 24+16, with NLP',
    description: '',
    config: extractionConfig.parse({}),
    extra_metadata: { hook_types: ['resid_post', 'mlp_out'], layers: [2, 4], d_sae: [4096] },
    created_at: time(25),
  },
]

const job = (kind: Job['kind'], entity: string, title: string, changes: Partial<Job> = {}): Job => ({
  id: idOf('job', jobs.length + 1),
  kind,
  entity,
  title,
  status: 'running',
  progress: 0,
  attempt: 1,
  needs: [],
  after: [],
  error_message: null,
  created_at: time(20),
  started_at: time(21),
  ended_at: null,
  ...changes,
})
export const jobs: Job[] = []
const queued = { status: 'queued', attempt: 0, started_at: null } as const
jobs.push(job('train', `training/${runningTraining.id}`, runningTraining.name))
jobs.push(job('extract', `extraction/${runningExtraction.id}`, `Extract ${runningExtraction.sae_name}`))
jobs.push(job('nlp', `extraction/${runningExtraction.id}`, `NLP of ${runningExtraction.sae_name}`, queued))
jobs.push(job('extract', `extraction/${extractions[0].id}`, `Extract ${extractions[0].sae_name}`, queued))
jobs.push(
  job('tokenize', `tokenization/${tokenizations[3].id}`, 'Tokenize databases for mistudio-demo', {
    progress: 0.42,
  }),
)
