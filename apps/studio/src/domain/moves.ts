// The state machines of the contract are checked here and nowhere else: whatever moves a row asks first.
import { canMove, type Machine } from '@mistudio/contract'
import { illegalMove } from '../problem.ts'

/** @throws ProblemError 409 for a move that the machine does not have */
export function checkMove<S extends string>(machine: Machine<S>, from: S, to: S): void {
  if (canMove(machine, from, to)) return
  const allowed = machine.moves[from].join(', ') || 'nothing: it has ended'
  throw illegalMove({ entity: machine.entity, state: from, move: `become ${to}`, allowed })
}
