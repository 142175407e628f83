"""
Questions word by word
======================

You learn how a network reads words. With ``tokens=True``, :class:`skseqmetric.RecurrentClassifier` learns a vector of
every word, and reads the vectors. Words that it never saw share one vector, that of the unknown word.

A grammar of ten lines makes the questions here. They ask for a person, a place or a number. "who" and "where" say so at
once. After "what" the next noun decides. We see three things: when the network makes up its mind, which words it takes
for each other, and what an unknown word does.
"""

# %%
# Questions, and what they ask for.
import matplotlib.pyplot as plt
import numpy as np

from skseqmetric import RecurrentClassifier

WORDS = {
    "PERSON": ["author", "actor", "king", "chemist"],
    "PLACE": ["city", "country", "river", "island"],
    "NUMBER": ["distance", "age", "price", "speed"],
    "verb": ["wrote", "found", "sold", "painted"],
    "thing": ["book", "ship", "lamp", "map", "song", "bridge"],
    "kind": ["old", "largest", "famous", "lost"],
}
FORMS = {
    "PERSON": ["who verb the kind thing", "what PERSON verb the thing", "what kind PERSON verb the kind thing"],
    "PLACE": ["where is the kind thing", "in what PLACE is the thing", "what kind PLACE has the kind thing"],
    "NUMBER": ["how many thing has the PERSON", "what is the NUMBER of the kind thing", "what NUMBER has the thing"],
}


def ask(answer: str, rng: np.random.Generator) -> list[str]:
    """Return the words of a question that asks for the answer."""
    form = rng.choice(FORMS[answer]).split()
    return [str(rng.choice(WORDS[word])) if word in WORDS else word for word in form]


rng = np.random.default_rng(0)
answers = rng.choice(list(FORMS), size=600)
questions = [ask(answer, rng) for answer in answers]
print(" ".join(questions[0]), "->", answers[0])

# %%
# A sequence is a list of words, and nothing else is to be prepared. `vocabulary_` has the words of the training data.
# The vector of a word has two numbers here, so that it can be drawn. The default is 64.
reader = RecurrentClassifier(16, tokens=True, n_token_features=2, max_epochs=25, random_state=0)
reader.fit(questions[:400], answers[:400])
print(f"{reader.score(questions[400:], answers[400:]):.1%} of the new questions, {len(reader.vocabulary_)} words")

# %%
# `predict_prefixes` gives the class scores after every word. "zebra" and "quick" are not in the vocabulary.
asked = ["what famous island has the zebra", "what is the price of the lamp", "who sold the quick ship"]
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, question in zip(axes, asked, strict=True):
    words = question.split()
    scores = reader.predict_prefixes([words])[0]
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    ax.imshow(shares.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(words)), [w if w in reader.vocabulary_ else f"({w})" for w in words], rotation=60)
    ax.set_yticks(range(3), reader.classes_)
    for (t, k), share in np.ndenumerate(shares):
        ax.text(t, k, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.5 else "black", fontsize=7)
figure.suptitle("What the question asks for, after every word (unknown words in brackets)")

# %%
# What is open after "what" is decided by the noun, at the noun or one word later: only the answer after the last word
# was trained. The unknown words change nothing.
#
# The vectors are all that the network sees of the words. Words that decide for a person, or for a place, came to lie
# side by side. Words that decide nothing stayed near the unknown one.
words = ["(unknown)", *reader.vocabulary_]
places = reader.module_.vectors.table.weight.detach().numpy()
groups = {word: name for name, members in WORDS.items() for word in members}
colours = {"PERSON": "tab:orange", "PLACE": "tab:green", "NUMBER": "tab:blue"}
said = {"who": "PERSON", "where": "PLACE", "how": "NUMBER", "many": "NUMBER"}

figure, ax = plt.subplots(figsize=(7.5, 6), layout="constrained")
for word, (x, y) in zip(words, places, strict=True):
    group = groups.get(word, said.get(word))
    ax.scatter(x, y, s=24, color=colours.get(group, "0.7"))
    ax.annotate(word, (x, y), xytext=(4, 3), textcoords="offset points", fontsize=8, color=colours.get(group, "0.5"))
for name, colour in colours.items():
    ax.scatter([], [], color=colour, label=name)
ax.legend(title="decides for")
ax.set(title="The learned vectors of the words", xlabel="first number", ylabel="second number")

# %%
# Every step may have a label too. Here the words that decide are to be marked. The network reads forwards only, so a
# label never depends on later words, and the words may come one at a time.
marks = [["*" if groups.get(w) in FORMS or w in said else "." for w in question] for question in questions]
marker = RecurrentClassifier(16, tokens=True, n_token_features=8, target="step", max_epochs=10, random_state=0)
marker.fit(questions[:400], marks[:400])
print(f"{marker.score(questions[400:], marks[400:]):.1%} of the words")
print(" ".join(marker.predict_stream(["what", "famous", "island", "has", "the", "bridge"])))

plt.show()
