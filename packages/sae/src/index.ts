// The public face of @mistudio/sae.
