// Installs what is missing (and the pinned Node where it is needed), and does nothing else.
import { prepare, reportAndExit } from './bootstrap.js'

try {
  prepare()
} catch (error) {
  reportAndExit(error)
}
