// Tokens that a feature makes likelier and less likely.
import type { FeatureDetail } from '@mistudio/contract'
import { formatFigure } from '../../parts/format.ts'
import { shownToken } from '../../tokens/heat.ts'

type Logit = NonNullable<FeatureDetail['top_logits']>[number]

export function Logits({ feature }: { feature: FeatureDetail }) {
  const { top_logits, bottom_logits } = feature
  if (top_logits === null || bottom_logits === null) {
    return (
      <p className="text-soft">
        –{' '}
        <span className="text-mute">
          The hook point is not in the residual stream: nothing is added to the output there.
        </span>
      </p>
    )
  }
  const most = Math.max(...[...top_logits, ...bottom_logits].map(({ logit }) => Math.abs(logit)))
  return (
    <div className="grid grid-cols-2 gap-4">
      <Side title="Raises" logits={top_logits} most={most} look="bg-accent-soft" />
      <Side title="Lowers" logits={bottom_logits} most={most} look="bg-bad-soft" />
    </div>
  )
}

function Side(props: { title: string; logits: Logit[]; most: number; look: string }) {
  const { title, logits, most, look } = props
  return (
    <div className="min-w-0">
      <h3 className="mb-1 text-xs font-medium text-mute">{title}</h3>
      <ol className="space-y-0.5 text-xs" aria-label={title}>
        {logits.map(({ token_id, text, logit }) => (
          <li
            key={token_id}
            title={`token ${token_id}`}
            className="relative flex justify-between gap-2 overflow-hidden rounded-sm px-1.5 py-0.5"
          >
            <span
              aria-hidden
              className={`absolute inset-y-0 left-0 ${look}`}
              style={{ width: `${(Math.abs(logit) / most) * 100}%` }}
            />
            <span className="relative min-w-0 truncate font-mono whitespace-pre">{shownToken(text)}</span>
            <span className="relative shrink-0 text-soft">{formatFigure(logit, 3)}</span>
          </li>
        ))}
      </ol>
    </div>
  )
}
