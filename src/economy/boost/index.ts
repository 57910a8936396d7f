/**
 * Boost: learns how much a household or account uses in which hour of the week, and says what to reserve ahead of a peak.
 *
 * The rules it keeps: it spends no more than its budget, reserves only what is cheaper than buying when the hour comes, and reserves nothing
 * at all while its forecasts of this very history were not better than "as a week ago". Start reading at forecast.ts, then plan.ts.
 */
export { type Accuracy, accuracyOf, chanceOfUsing, forecastOf, type History, useAtLeast } from './forecast.ts'
export { type Boost, planBoost, type Reservable } from './plan.ts'
