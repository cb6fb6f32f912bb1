"""The embedded default: a base and a tuned tiny chat model, their data, and the program that makes both.

`data` is what the methods read, `weights` says where the files are; both are light. All else here (corpus, training,
measurements) exists to make the weights and to prove what the model card says of them.
"""
