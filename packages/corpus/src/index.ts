// The public face of @mistudio/corpus.
