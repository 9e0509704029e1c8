"""The numerical library: data, networks, training, evaluation and the lossless rule. Knows neither Ray nor Optuna."""
