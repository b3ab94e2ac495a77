// The start form of a training. A section each for the model and its text, the family, the hook points and the settings,
// with the plan beside them; use_training_form.ts holds what has been entered. What a family has, its defaults, bounds
// and explanations are the API's data.
import type { Families, Model, Recipe } from '@mistudio/contract'
import { useQuery } from '@tanstack/react-query'
import { queries } from '../../api.ts'
import { LinkButton, TextLink } from '../../parts/button.tsx'
import { Loaded, together } from '../../parts/loaded.tsx'
import { Empty, Page } from '../../parts/page.tsx'
import { FamilyAndRecipe } from './family_and_recipe.tsx'
import { HookChoice } from './hook_choice.tsx'
import { Hyperparameters } from './hyperparameters.tsx'
import { ModelAndText } from './model_and_text.tsx'
import { Plan } from './plan.tsx'
import { useTrainingForm } from './use_training_form.ts'

export default function NewTraining() {
  const models = useQuery(queries.models())
  const tables = together(useQuery(queries.families()), useQuery(queries.recipes()))
  const above = [
    <TextLink key="trainings" to="/trainings">
      Trainings
    </TextLink>,
  ]
  return (
    <Page title="Start a training" above={above}>
      <Loaded query={models} what="models">
        {({ data }) =>
          data.length === 0 ? (
            <Empty action={<LinkButton to="/models">Add a model</LinkButton>}>
              A training needs a language model. Add one first.
            </Empty>
          ) : (
            <Loaded query={tables} what="families and recipes">
              {([families, recipes]) => <Form models={data} families={families} recipes={recipes.data} />}
            </Loaded>
          )
        }
      </Loaded>
    </Page>
  )
}

function Form({ models, families, recipes }: { models: Model[]; families: Families; recipes: Recipe[] }) {
  const form = useTrainingForm({ models, families })
  return (
    <form className="grid gap-6 lg:grid-cols-[1fr_18rem]" onSubmit={form.submit} noValidate>
      <div className="min-w-0 space-y-6">
        <ModelAndText form={form} models={models} />
        <FamilyAndRecipe form={form} families={families} recipes={recipes} />
        <HookChoice form={form} />
        <Hyperparameters form={form} families={families} />
      </div>
      <Plan form={form} />
    </form>
  )
}
