// Installs what is missing (and the pinned Node where it is needed), and does nothing else.
import { ensureInstalled, ensureNode, reportAndExit } from './bootstrap.js'

try {
  ensureInstalled()
  ensureNode()
} catch (error) {
  reportAndExit(error)
}
