/** What a policy's module exports by default. Made by `authorizer`, `admitter` or `validator`. */
export declare class Policy<Question, Answer> {
  private constructor();
  readonly world: string;
  readonly decide: (question: Question) => Answer;
}
