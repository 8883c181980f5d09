"""Embeddings of crops: who makes them, where they are kept, and what is made of them.

What makes vectors (:mod:`.fastvss`, :mod:`.local`) knows no dataset; :mod:`.vectors` keeps them with the samples;
maps, similarity, suggestions and suspicions are computed from what is kept there.
"""
