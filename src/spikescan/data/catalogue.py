"""The data sets that the package knows. Adding one is one entry in :data:`SOURCES`."""

from __future__ import annotations

from spikescan.data.source import Archive, File, Source


def _idx_files(checksums: dict[str, tuple[int, str]], *mirrors: str) -> tuple[File, ...]:
    return tuple(
        File(name, digest, size, tuple(mirror + name for mirror in mirrors))
        for name, (size, digest) in checksums.items()
    )


SOURCES: tuple[Source, ...] = (
    Source(
        name="digits",
        title="Optical recognition of handwritten digits, 8x8 (inside scikit-learn)",
        licence="CC BY 4.0",
        citation="E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998",
        homepage="https://archive.ics.uci.edu/dataset/80",
        embedded=True,
    ),
    Source(
        name="mnist",
        title="MNIST handwritten digits, 28x28",
        licence="usually given as CC BY-SA 3.0",
        citation="Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Proceedings of the IEEE, 1998",
        homepage="http://yann.lecun.com/exdb/mnist/",
        files=_idx_files(
            {
                "train-images-idx3-ubyte.gz": (
                    9912422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ),
                "train-labels-idx1-ubyte.gz": (
                    28881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                ),
                "t10k-images-idx3-ubyte.gz": (
                    1648877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    4542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
            },
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    Source(
        name="fashion_mnist",
        title="Fashion-MNIST articles of clothing, 28x28",
        licence="MIT",
        citation="H. Xiao, K. Rasul and R. Vollgraf, arXiv:1708.07747, 2017",
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        files=_idx_files(
            {
                "train-images-idx3-ubyte.gz": (
                    26421880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                ),
                "train-labels-idx1-ubyte.gz": (
                    29515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                ),
                "t10k-images-idx3-ubyte.gz": (
                    4422102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    5148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ),
            },
            # Plain http is safe here: the checksums decide.
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
    ),
    Source(
        name="fsdd",
        title="Free Spoken Digit Dataset, 8 kHz recordings",
        licence="CC BY-SA 4.0",
        citation="Z. Jackson and others, Free Spoken Digit Dataset, doi:10.5281/zenodo.1342401",
        homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
        listing="fsdd.sha256",
        # GitHub packs archives anew at times, so only the unpacked files have lasting checksums.
        archive=Archive(
            urls=(
                "https://github.com/Jakobovski/free-spoken-digit-dataset"
                "/archive/refs/tags/v1.0.10.tar.gz",
                "https://github.com/Jakobovski/free-spoken-digit-dataset"
                "/archive/refs/heads/master.tar.gz",
            ),
            unpacked=30_000_000,
            strip=1,
        ),
    ),
    Source(
        name="cinc2017",
        title="AF classification from a short single-lead ECG (CinC Challenge 2017)",
        licence="ODC-By 1.0",
        citation="G. D. Clifford and others, Computing in Cardiology 44, 2017",
        homepage="https://physionet.org/content/challenge-2017/1.0.0/",
        brought=(
            ("REFERENCE-v3.csv",),
            ("training2017.zip", "cinc2017.tar.xz", "training2017"),
        ),
    ),
    Source(
        name="imdb",
        title="Large Movie Review Dataset v1.0, 50,000 labelled reviews",
        licence="none stated; cite the authors",
        citation="A. L. Maas and others, ACL, 2011",
        homepage="https://ai.stanford.edu/~amaas/data/sentiment/",
        brought=(("aclImdb_v1.tar.gz", "aclImdb_labelled.tar.xz", "aclImdb"),),
    ),
    Source(
        name="cifar10",
        title="CIFAR-10 images in colour, 32x32 (binary version)",
        licence="none stated; cite the author",
        citation="A. Krizhevsky, Learning multiple layers of features from tiny images, 2009",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        brought=(("cifar-10-binary.tar.gz", "cifar-10-batches-bin"),),
    ),
    Source(
        name="speech_commands",
        title="Google Speech Commands v0.02, 16 kHz recordings of 35 words",
        licence="CC BY 4.0",
        citation="P. Warden, arXiv:1804.03209, 2018",
        homepage="http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
        brought=(("speech_commands_v0.02.tar.gz", "speech_commands_v0.02"),),
    ),
    Source(
        name="har",
        title="Motion of a phone and a watch, 23 persons, 5 activities",
        licence="CC BY 4.0",
        citation="M. Matey-Sanz and others, Scientific Data, 2023",
        homepage="https://zenodo.org/records/8398688",
        brought=(("har_spsw.zip", "har_spsw.tar.xz", "har_spsw"),),
        hint="the publisher's archive under that name, or a folder of that name with what it "
        "unpacks to: files sXX_YY_sp.csv and sXX_YY_sw.csv, at any depth",
    ),
    Source(
        name="nmnist",
        title="N-MNIST event recordings, 1,000 training and 100 test digits",
        licence="usually given as CC BY-SA 4.0",
        citation="G. Orchard and others, Frontiers in Neuroscience 9:437, 2015",
        homepage="https://github.com/bamsumit/slayerPytorch",
        brought=(("NMNISTsmall.zip", "nmnist_small.tar.xz", "NMNISTsmall"),),
    ),
    Source(
        name="dvs_gesture",
        title="DVS128 Gesture, 29 persons, 11 gestures before an event camera",
        licence="CC BY 4.0",
        citation="A. Amir and others, CVPR, 2017",
        homepage="https://research.ibm.com/interactive/dvsgesture/",
        brought=(("DvsGesture.tar.gz", "DvsGesture"),),
    ),
    Source(
        name="mitbih",
        title="MIT-BIH Arrhythmia Database, 48 records of two leads at 360 Hz",
        licence="ODC-By 1.0",
        citation="G. B. Moody and R. G. Mark, IEEE Eng. in Med. and Biol. 20(3), 2001",
        homepage="https://physionet.org/content/mitdb/1.0.0/",
        listing="mitbih.sha256",
        base="https://physionet.org/files/mitdb/1.0.0/",
    ),
    Source(
        name="shd",
        title="Spiking Heidelberg Digits, 20 spoken digits as spikes of 700 channels",
        licence="CC BY 4.0",
        citation="B. Cramer and others, IEEE TNNLS 33(7), 2022",
        homepage="https://zenkelab.org/datasets/",
        brought=tuple((f"shd_{part}.h5.gz", f"shd_{part}.h5") for part in ("train", "test")),
    ),
    Source(
        name="ssc",
        title="Spiking Speech Commands, 35 spoken words as spikes of 700 channels",
        licence="CC BY 4.0",
        citation="B. Cramer and others, IEEE TNNLS 33(7), 2022",
        homepage="https://zenkelab.org/datasets/",
        brought=tuple(
            (f"ssc_{part}.h5.gz", f"ssc_{part}.h5") for part in ("train", "valid", "test")
        ),
    ),
    Source(
        name="aan",
        title="ACL Anthology pairs, Retrieval of the Long Range Arena release",
        licence="none stated",
        citation="Y. Tay and others, arXiv:2011.04006, 2020",
        homepage="https://github.com/google-research/long-range-arena",
        brought=tuple((f"new_aan_pairs.{part}.tsv",) for part in ("train", "eval", "test")),
    ),
)
