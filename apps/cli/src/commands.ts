// All commands, in the order of the help.

import { datasetTokenize } from './commands/dataset_tokenize.ts'
import { demo } from './commands/demo.ts'
import { doctor } from './commands/doctor.ts'
import { featureExtract } from './commands/feature_extract.ts'
import { featureShow } from './commands/feature_show.ts'
import { modelGenerate } from './commands/model_generate.ts'
import { modelInfo } from './commands/model_info.ts'
import { modelRun } from './commands/model_run.ts'
import { saeCache } from './commands/sae_cache.ts'
import { saeCompare } from './commands/sae_compare.ts'
import { saeEncode } from './commands/sae_encode.ts'
import { saeEvaluate } from './commands/sae_evaluate.ts'
import { saeFamilies } from './commands/sae_families.ts'
import { saeFinalise } from './commands/sae_finalise.ts'
import { saeRecipes } from './commands/sae_recipes.ts'
import { saeSynthetic } from './commands/sae_synthetic.ts'
import { saeTrain } from './commands/sae_train.ts'
import { serve } from './commands/serve.ts'
import type { Command } from './frame/command.ts'

export const commands: readonly Command[] = [
  doctor,
  serve,
  demo,
  modelInfo,
  modelRun,
  modelGenerate,
  datasetTokenize,
  saeCache,
  saeTrain,
  saeSynthetic,
  saeFamilies,
  saeRecipes,
  saeFinalise,
  saeEvaluate,
  saeCompare,
  saeEncode,
  featureExtract,
  featureShow,
]
