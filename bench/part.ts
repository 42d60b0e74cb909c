// What the bench hands to a part: where it may write, how often it measures, whom it tells.
export type PartPlan = {
  /** Empty at the start; the part's alone. */
  readonly scratch: string;
  /** What is fetched or recorded once, for this run and later ones. */
  readonly cache: string;
  readonly rounds: number;
  /** Of the corpus, only every so many-th file. */
  readonly everyNth: number;
  readonly tell: (text: string) => void;
};

export type Part = (plan: PartPlan) => Promise<string>;
