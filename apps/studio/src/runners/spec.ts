// What crosses the pipe between the job host and a runner. A runner sees folders and numbers, never the database;
// all paths are absolute. It writes only into `out`, a folder of this attempt alone.
import type {
  EventData,
  ExtractionConfig,
  Hyperparameters,
  NlpSummary,
  Tokenization,
} from '@mistudio/contract'
import type { Probe, RunMember } from '@mistudio/training'

type Work<K extends string, T> = { kind: K } & T

export type TokenizeSpec = Work<
  'tokenize',
  {
    tokenizationId: string
    modelDir: string
    /** The dataset's text file. */
    file: string
    textField: string
    skipBadLines: boolean
    contextSize: number
    /** The token store will lie in `out`/store. */
    out: string
  }
>
export type TrainSpec = Work<
  'train',
  {
    trainingId: string
    /** One, or several over the same tokens: hook points are MODEL:HOOK then. */
    modelDirs: string[]
    modelName: string
    cacheDir: string
    stores: string[]
    /** A folder of cached activations, read in place of running the models over the stores. */
    cached?: string
    datasetNames: string[]
    /** One weight a store, or null: all texts once, one after the other. */
    datasetWeights: number[] | null
    members: RunMember[]
    hyperparameters: Hyperparameters
    /** Only this SAE of an ended run is trained, from its last checkpoint; the others are left as they are. */
    retry?: string
    /** Default: every two minutes. */
    checkpointEverySteps?: number
    /**
     * The run lies in `out`/run: a folder for each SAE, and `checkpoints/` until it is finished. The host has
     * moved an earlier attempt's run there before the start; the runner resumes whatever it finds.
     */
    out: string
  }
>
export type ExtractSpec = Work<
  'extract',
  {
    extractionId: string
    modelDir: string
    cacheDir: string
    saeDir: string
    stores: string[]
    config: ExtractionConfig
    /** The extraction will lie in `out`/extraction. */
    out: string
  }
>
export type NlpSpec = Work<
  'nlp',
  {
    extractionId: string
    /** A finished extraction: read only. */
    extractionDir: string
    /** JSON lines will lie in `out`/nlp.jsonl: an NlpLine each. */
    out: string
  }
>
/** SAEs of a checkpoint; they will lie in `out`/saes. */
export type FinaliseSpec = Work<
  'finalise',
  Pick<
    TrainSpec,
    | 'trainingId'
    | 'modelDirs'
    | 'cacheDir'
    | 'stores'
    | 'cached'
    | 'datasetWeights'
    | 'members'
    | 'hyperparameters'
  > & {
    /** The run whose checkpoint it is: read only. */
    runDir: string
    step: number
    out: string
  }
>
/** Measures this machine for a training that is being thought about; no job, and nothing is written. */
export type ProbeSpec = Work<
  'probe',
  {
    modelDirs: string[]
    cacheDir: string
    contextSize: number
    /** Token stores to read from; with none, tokens are drawn and the activations' scale is not told. */
    stores: string[]
    members: RunMember[]
    batchSize: number
    totalSteps: number
  }
>
export type RunnerSpec = TokenizeSpec | TrainSpec | ExtractSpec | NlpSpec | FinaliseSpec | ProbeSpec

/** A line of nlp.jsonl, in order of features; every feature with top examples has one. */
export type NlpLine = { feature: number; nlp: NlpSummary }

/** What a finished runner reports; artefacts lie in `out`. */
export type RunnerResult =
  | Work<'tokenize', { vocabSize: number; splits: NonNullable<Tokenization['splits']>; badLines: number }>
  /** `stopped`: ended early by a request; the SAEs as they were then lie in `out`/run beside the checkpoint. */
  | Work<'train', { status: 'completed' | 'stopped'; step: number; totalSteps: number; tokens: number }>
  | Work<'extract', { features: number; featuresAlive: number; tokens: number; complete: boolean }>
  | Work<'nlp', { features: number; complete: boolean }>
  | Work<'finalise', { step: number; saes: string[] }>
  | Work<'probe', { probe: Probe }>

/** Events as runners emit them: the host adds what only it knows (nlp_status, stage) and the sequence number. */
export type RunnerEvent =
  | { event: 'tokenization:progress'; data: Omit<EventData<'tokenization:progress'>, 'status'> }
  | { event: 'training:progress'; data: Omit<EventData<'training:progress'>, 'status'> }
  | { event: 'training:checkpoint'; data: Omit<EventData<'training:checkpoint'>, 'status'> }
  | {
      event: 'extraction:progress'
      data: Omit<EventData<'extraction:progress'>, 'status' | 'nlp_status' | 'stage'>
    }
  | {
      event: 'extraction:completed'
      data: Omit<EventData<'extraction:completed'>, 'status' | 'nlp_status' | 'stage'>
    }
  | {
      event: 'extraction:nlp_progress'
      data: Omit<EventData<'extraction:nlp_progress'>, 'status' | 'nlp_status' | 'stage'>
    }

/** Runner to host, over Node's IPC channel. */
export type RunnerMessage =
  | { kind: 'event'; event: RunnerEvent }
  | { kind: 'result'; result: RunnerResult }
  /** Bad input names file, field, found and expected; `stack` where the fault is ours. */
  | { kind: 'failed'; message: string; stack?: string }

/** Host to runner. The first message is the spec; then requests. */
export type HostMessage =
  | { kind: 'spec'; spec: RunnerSpec; threads?: number }
  /**
   * Save what there is and end with a result (`stopped`, `complete: false`). A tokenization, which has nothing to
   * save, ends without one, as if it were killed.
   */
  | { kind: 'stop' }
