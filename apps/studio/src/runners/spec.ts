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

/**
 * The kinds of work, each with what it is told and what it reports. Jobs of several kinds may do the same work; a probe
 * is no job. Another kind stands here, or adds itself from its own file:
 * `declare module './spec.ts' { interface Works { count: { spec: { out: string }; result: { words: number } } } }`
 */
export interface Works {
  tokenize: {
    spec: {
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
    result: { vocabSize: number; splits: NonNullable<Tokenization['splits']>; badLines: number }
  }
  train: {
    spec: {
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
    /** `stopped`: ended early by a request; the SAEs as they were then lie in `out`/run beside the checkpoint. */
    result: { status: 'completed' | 'stopped'; step: number; totalSteps: number; tokens: number }
  }
  extract: {
    spec: {
      extractionId: string
      modelDir: string
      cacheDir: string
      saeDir: string
      stores: string[]
      config: ExtractionConfig
      /** The extraction will lie in `out`/extraction. */
      out: string
    }
    result: { features: number; featuresAlive: number; tokens: number; complete: boolean }
  }
  nlp: {
    spec: {
      extractionId: string
      /** A finished extraction: read only. */
      extractionDir: string
      /** JSON lines will lie in `out`/nlp.jsonl: an NlpLine each. */
      out: string
    }
    result: { features: number; complete: boolean }
  }
  /** SAEs of a checkpoint; they will lie in `out`/saes. */
  finalise: {
    spec: Pick<
      Works['train']['spec'],
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
    result: { step: number; saes: string[] }
  }
  /** Measures this machine for a training that is being thought about; nothing is written. */
  probe: {
    spec: {
      modelDirs: string[]
      cacheDir: string
      contextSize: number
      /** Token stores to read from; with none, tokens are drawn and the activations' scale is not told. */
      stores: string[]
      members: RunMember[]
      batchSize: number
      totalSteps: number
    }
    result: { probe: Probe }
  }
}

export type WorkName = keyof Works
/** `module`: the URL of the file that does the work, where that is not the one of its name here. */
export type SpecOf<W extends WorkName> = { [K in W]: { kind: K; module?: string } & Works[K]['spec'] }[W]
export type ResultOf<W extends WorkName> = { [K in W]: { kind: K } & Works[K]['result'] }[W]
export type RunnerSpec = SpecOf<WorkName>
/** What a finished runner reports; artefacts lie in `out`. */
export type RunnerResult = ResultOf<WorkName>

export type TokenizeSpec = SpecOf<'tokenize'>
export type TrainSpec = SpecOf<'train'>
export type ExtractSpec = SpecOf<'extract'>
export type NlpSpec = SpecOf<'nlp'>
export type ProbeSpec = SpecOf<'probe'>

/** A line of nlp.jsonl, in order of features; every feature with top examples has one. */
export type NlpLine = { feature: number; nlp: NlpSummary }

type RunnerEventName =
  | 'tokenization:progress'
  | 'training:progress'
  | 'training:checkpoint'
  | 'extraction:progress'
  | 'extraction:completed'
  | 'extraction:nlp_progress'

/** Events as runners emit them: the host adds what only it knows, and the sequence number. */
export type RunnerEvent = {
  [N in RunnerEventName]: { event: N; data: Omit<EventData<N>, 'status' | 'nlp_status' | 'stage'> }
}[RunnerEventName]

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
