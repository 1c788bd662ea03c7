/** A model in ONNX format that computes embeddings, and how to run it. Passed to decoder children as JSON. */
export interface ModelDescription {
  /** Absolute path of the model. */
  readonly path: string;
  /** Name of the embedding space. It depends on the content of the model and of its description. */
  readonly space: string;
  /** Number of dimensions of the embedding. */
  readonly dimension: number;
  /** Size of the input, in pixels. */
  readonly width: number;
  readonly height: number;
  /**
   * How a picture is fitted to the input: `cover` crops it around the centre, `contain` adds white margins, and `stretch`
   * ignores its proportions.
   */
  readonly fit: 'cover' | 'contain' | 'stretch';
  /** Order of the input's dimensions: picture, channel, row, column; or picture, row, column, channel. */
  readonly layout: 'NCHW' | 'NHWC';
  readonly channels: 'RGB' | 'BGR';
  /** Each channel, from 0 to 1, is normalised by subtracting its mean and dividing by its standard deviation. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
  /** Name of the output. Default: the first output. */
  readonly output?: string | undefined;
  /** How the tokens of an output with three dimensions become one vector: `first` takes the first token. */
  readonly pooling: 'none' | 'first' | 'mean';
}

/** The package that runs models. It is an optional peer dependency. */
export const runtimePackage: string = 'onnxruntime-node';
