"""The public names of the data sets."""

from spikescan.data.adding import Adding
from spikescan.data.af_ecg import AFECG
from spikescan.data.batch import SequenceBatch, collate
from spikescan.data.catalogue import SOURCES
from spikescan.data.cifar import CIFAR10
from spikescan.data.digits import Digits
from spikescan.data.dvs_gesture import DVSGesture
from spikescan.data.events import Events, EventSequences
from spikescan.data.facts import (
    Actions,
    Classes,
    Facts,
    Horizon,
    NextToken,
    PairClasses,
    StepClasses,
    Target,
    Values,
)
from spikescan.data.gaps import Missing, without_missing
from spikescan.data.heidelberg import Heidelberg
from spikescan.data.imdb import IMDB
from spikescan.data.listops import ListOps
from spikescan.data.memory import FixedSequences, RaggedSequences, Sequences
from spikescan.data.mitbih import MITBIH
from spikescan.data.mnist import MNIST, PixelOrder, pixel_order
from spikescan.data.module import SequenceData, Splits
from spikescan.data.motion import Motion
from spikescan.data.nmnist import NMNIST
from spikescan.data.own.base import OwnFiles
from spikescan.data.own.csv import Csv
from spikescan.data.own.found import Found
from spikescan.data.own.items import Item
from spikescan.data.own.npz import Npz
from spikescan.data.own.split import Split
from spikescan.data.own.text import TextFiles
from spikescan.data.own.ts import Ts
from spikescan.data.own.wav import Wav
from spikescan.data.pairs import PairSequences, ProbePairs
from spikescan.data.pathfinder import Pathfinder
from spikescan.data.recall import Recall
from spikescan.data.retrieval import Retrieval
from spikescan.data.root import DataError, data_root
from spikescan.data.sampler import EpochSampler
from spikescan.data.series import Series
from spikescan.data.source import Archive, File, Source
from spikescan.data.sources import fetch, find_source, missing, require, verify
from spikescan.data.speech_commands import SpeechCommands
from spikescan.data.spoken_digits import SpokenDigits
from spikescan.data.synthetic import Probe
from spikescan.data.text import Text
from spikescan.data.tokens import TokenSequences
from spikescan.data.trajectories import Episodes, Trajectories

__all__ = [
    "AFECG",
    "CIFAR10",
    "IMDB",
    "MITBIH",
    "MNIST",
    "NMNIST",
    "SOURCES",
    "Actions",
    "Adding",
    "Archive",
    "Classes",
    "Csv",
    "DVSGesture",
    "DataError",
    "Digits",
    "Episodes",
    "EpochSampler",
    "EventSequences",
    "Events",
    "Facts",
    "File",
    "FixedSequences",
    "Found",
    "Heidelberg",
    "Horizon",
    "Item",
    "ListOps",
    "Missing",
    "Motion",
    "NextToken",
    "Npz",
    "OwnFiles",
    "PairClasses",
    "PairSequences",
    "Pathfinder",
    "PixelOrder",
    "Probe",
    "ProbePairs",
    "RaggedSequences",
    "Recall",
    "Retrieval",
    "SequenceBatch",
    "SequenceData",
    "Sequences",
    "Series",
    "Source",
    "SpeechCommands",
    "Split",
    "Splits",
    "SpokenDigits",
    "StepClasses",
    "Target",
    "Text",
    "TextFiles",
    "TokenSequences",
    "Trajectories",
    "Ts",
    "Values",
    "Wav",
    "collate",
    "data_root",
    "fetch",
    "find_source",
    "missing",
    "pixel_order",
    "require",
    "verify",
    "without_missing",
]
