"""Makes a classifier: labels, fit, export, evaluate, one flat script per stage."""
