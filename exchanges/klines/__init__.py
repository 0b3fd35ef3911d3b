"""The protocol of klines, which several exchanges speak: what their venues have in common.

A venue says where it differs: paths, weights, sizes of pages, which rows of a listing are markets.
Nothing here names one.
"""
