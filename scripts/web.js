// The web application's bundle: the one thing beside the kernels that is built, here, on the user's machine. It is
// built again only when one of its sources or the lockfile has changed.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { BootstrapError, root, runChild } from './bootstrap.js'

const web = join(root, 'apps/web')
const stampFile = join(web, 'dist', '.mistudio-stamp')

/** Files that decide what the bundle is, in a fixed order. */
export function webSources({ root }) {
  const folders = ['apps/web/src', 'apps/web/public', 'packages/contract/src']
  const single = [
    'apps/web/index.html',
    'apps/web/vite.config.ts',
    'apps/web/package.json',
    'package-lock.json',
  ]
  const found = folders.flatMap(folder => {
    const path = join(root, folder)
    if (!existsSync(path)) return []
    return readdirSync(path, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile() && !entry.name.includes('.test.'))
      .map(entry => relative(root, join(entry.parentPath, entry.name)))
  })
  return [...found, ...single.filter(path => existsSync(join(root, path)))].sort()
}

/** @returns {string} what the bundle's stamp must say */
export function webStamp({ root }) {
  const hash = createHash('sha256')
  for (const path of webSources({ root })) {
    const text = readFileSync(join(root, path))
    hash.update(`${path}\0${text.length}\0`).update(text)
  }
  return `${hash.digest('hex')}\n`
}

/** Builds the bundle when it is not there or not of these sources. @param {{ node: string }} options */
export async function ensureWeb({ node }) {
  const stamp = webStamp({ root })
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return
  process.stderr.write('miStudio: building the web application …\n')
  const vite = join(root, 'node_modules/vite/bin/vite.js')
  // What vite tells goes to stderr: stdout belongs to the command that is run.
  // A test run's NODE_ENV would put the development build of React into the bundle.
  const env = { ...process.env, NODE_ENV: 'production' }
  const code = await runChild({ node, args: [vite, 'build', web, '--logLevel', 'warn'], output: 2, env })
  if (code !== 0) throw new BootstrapError('the web application could not be built (messages above)')
  writeFileSync(stampFile, stamp)
}
