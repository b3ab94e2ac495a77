// The public face of @mistudio/feature.
