// `npm start`: installs what is missing and does the main job on the demo model and texts.
import { launch, reportAndExit } from './bootstrap.js'

launch({ script: 'apps/cli/src/main.ts', args: ['demo', ...process.argv.slice(2)] }).catch(reportAndExit)
