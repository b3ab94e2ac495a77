// `npm start`: installs what is missing, builds the web application and starts the studio; on the first start the
// demo project is made in it by real jobs.
import { launch, prepare, reportAndExit } from './bootstrap.js'
import { ensureWeb } from './web.js'

async function main() {
  const { path: node } = prepare()
  await ensureWeb({ node })
  await launch({ script: 'apps/cli/src/main.ts', args: ['serve', ...process.argv.slice(2)] })
}

main().catch(reportAndExit)
