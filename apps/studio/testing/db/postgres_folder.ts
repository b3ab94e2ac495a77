// Where Debian's packages put the programs of Postgres.
import { existsSync, readdirSync } from 'node:fs'

export const debianFolder = '/usr/lib/postgresql'

/** @returns the folder of the newest version's programs, undefined where there is none */
export function postgresFolder(): string | undefined {
  const versions = existsSync(debianFolder) ? readdirSync(debianFolder).map(Number) : []
  const newest = Math.max(...versions.filter(version => existsSync(`${debianFolder}/${version}/bin/initdb`)))
  return Number.isFinite(newest) ? `${debianFolder}/${newest}/bin` : undefined
}
