// The tokens that a feature makes more likely and less likely.
import type { FeatureDetail } from '@mistudio/contract'
import { BarList } from '../../charts/bar_list.tsx'
import { formatFigure } from '../../parts/format.ts'
import { shownToken } from '../../tokens/heat.ts'

type Logit = NonNullable<FeatureDetail['top_logits']>[number]

export function Logits({ feature }: { feature: FeatureDetail }) {
  const { top_logits, bottom_logits } = feature
  if (top_logits === null || bottom_logits === null) {
    return (
      <p className="text-mute">
        The hook point is not in the residual stream, so the feature has no direct effect on the output.
      </p>
    )
  }
  const most = Math.max(...[...top_logits, ...bottom_logits].map(({ logit }) => Math.abs(logit)))
  const rowOf = ({ token_id, text, logit }: Logit) => ({
    key: token_id,
    text: shownToken(text),
    note: formatFigure(logit, 3),
    share: Math.abs(logit) / most,
    title: `token ${token_id}`,
  })
  return (
    <div className="grid grid-cols-2 gap-4">
      <BarList title="Promoted" rows={top_logits.map(rowOf)} />
      <BarList title="Suppressed" rows={bottom_logits.map(rowOf)} look="bg-bad-soft" />
    </div>
  )
}
