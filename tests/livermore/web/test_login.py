"""Who may try a password how often, and what the log tells of it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.test import Client

from livermore.web.limits import logins
from livermore.web.limits.logins import ADDRESS, USER, USER_AND_ADDRESS, Attempts
from tests.warmup.live.redis_away import OwnRedis

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
CHANGE = "/admin/password_change/"
RIGHT, WRONG = "a right password", "a wrong password"
PAIR = USER_AND_ADDRESS.attempts


@pytest.fixture(autouse=True)
def quick(settings, redis):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def root():
    return User.objects.create_superuser("root", password=RIGHT)


def log_in(name="root", password=WRONG, address="10.0.0.1", **headers):
    data = {"username": name, "password": password, "next": "/admin/"}
    return Client().post(LOGIN, data, REMOTE_ADDR=address, headers=headers)


def fail(times, **options):
    """Return the statuses of so many wrong attempts."""
    return [log_in(**options).status_code for _ in range(times)]


def test_after_some_failures_the_right_password_has_to_wait_too(root, caplog):
    assert fail(PAIR) == [200] * PAIR
    answer = log_in(password=RIGHT)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= USER_AND_ADDRESS.seconds
    assert "Too many attempts. Try again in 5 minutes." in answer.content.decode()
    assert answer.content.decode().count("errornote") == 1
    assert "login.refused user=root address=10.0.0.1 retry_after_seconds=" in caplog.text


def test_each_failure_is_logged_with_user_and_address(root, caplog):
    log_in()
    assert "login.failed user=root address=10.0.0.1" in caplog.text
    assert WRONG not in caplog.text
    caplog.clear()
    log_in(name="x\n2026 login.failed user=root address=10.9.9.9\x1b[2J" + "y" * 500)
    (line,) = [each.getMessage() for each in caplog.records if "login.failed" in each.getMessage()]
    assert line.startswith(
        r"login.failed user=x\x0a2026\x20login.failed\x20user\x3droot\x20address"
    )
    assert line.endswith(" address=10.0.0.1")
    assert len(line) < 700


def test_a_user_who_is_none_is_counted_and_answered_alike(root):
    known, unknown = log_in(), log_in(name="nobody")
    clean = [each.content.decode().replace("nobody", "root") for each in (known, unknown)]
    texts = [each.split("errornote")[1].split("</p>")[0] for each in clean]
    assert texts[0] == texts[1]
    assert fail(PAIR - 1, name="nobody") == [200] * (PAIR - 1)
    assert log_in(name="nobody").status_code == 429


def test_who_is_not_of_the_staff_is_a_failure_too(root, caplog):
    User.objects.create_user("eve", password=RIGHT)
    assert [log_in("eve", RIGHT).status_code for _ in range(PAIR + 1)] == [200] * PAIR + [429]
    assert "login.failed user=eve" in caplog.text


@pytest.mark.parametrize("name", ["ROOT", "root ", "ｒｏｏｔ"])
def test_a_user_is_the_same_however_it_is_written(root, name):
    fail(PAIR)
    assert log_in(name=name).status_code == 429


def test_somebody_elsewhere_keeps_nobody_out(root):
    assert fail(PAIR + 3)[-1] == 429
    assert log_in(password=RIGHT, address="10.0.0.2").status_code == 302


def test_success_forgets_this_users_failures_from_there(root):
    fail(PAIR - 1)
    assert log_in(password=RIGHT).status_code == 302
    assert fail(PAIR) == [200] * PAIR


def test_one_address_may_not_try_many_users(root):
    User.objects.create_superuser("eve", password=RIGHT)
    for number in range(ADDRESS.attempts):
        assert log_in(name=f"user{number}").status_code == 200
        if number % 10 == 5:  # with one's own password in between nothing is forgotten
            assert log_in("eve", RIGHT).status_code == 302
    assert log_in(name="another").status_code == 429
    assert log_in(name="another", address="10.0.0.2").status_code == 200


def test_of_ipv6_a_whole_network_is_one_address(root):
    fail(PAIR, address="2001:db8:1:2::1")
    assert log_in(address="2001:db8:1:2:ffff::9").status_code == 429
    assert log_in(address="2001:db8:1:3::1").status_code == 200
    fail(PAIR, address="::ffff:10.1.1.1")
    assert log_in(address="10.1.1.1").status_code == 429


def test_many_addresses_are_slowed_down_but_not_where_the_user_comes_from(root):
    assert log_in(password=RIGHT, address="10.0.0.1").status_code == 302
    for number in range(USER.attempts):
        assert log_in(address=f"10.1.{number // 250}.{number % 250}").status_code == 200
    refused = log_in(password=RIGHT, address="10.2.0.1")
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > USER_AND_ADDRESS.seconds
    assert log_in(password=RIGHT, address="10.0.0.1").status_code == 302


def test_logins_from_where_the_user_comes_take_no_attempt_from_elsewhere_back(root, redis):
    assert log_in(password=RIGHT, address="10.0.0.1").status_code == 302
    for number in range(USER.attempts):
        assert log_in(address=f"10.1.{number // 250}.{number % 250}").status_code == 200
    for _ in range(3):
        assert log_in(password=RIGHT, address="10.0.0.1").status_code == 302
    assert log_in(address="10.2.0.1").status_code == 429


def test_nor_does_an_attempt_that_came_to_nothing(redis):
    known = Attempts("root", "10.0.0.1")
    known.enter()
    known.succeeded()
    elsewhere = [Attempts("root", f"10.1.{n // 250}.{n % 250}") for n in range(USER.attempts)]
    assert [each.enter() for each in elsewhere] == [0] * USER.attempts
    for _ in range(3):
        again = Attempts("root", "10.0.0.1")
        assert again.enter() == 0
        again.give_back()
    assert Attempts("root", "10.2.0.1").enter() > 0
    elsewhere[0].give_back()
    assert Attempts("root", "10.2.0.1").enter() == 0


def test_what_was_refused_is_not_given_back(redis):
    for _ in range(PAIR):
        Attempts("root", "10.0.0.1").enter()
    refused = Attempts("root", "10.0.0.1")
    assert refused.enter() > 0
    refused.give_back()
    assert Attempts("root", "10.0.0.1").enter() > 0


@pytest.mark.parametrize("target", ["", "//evil.example", "https://evil.example/", "javascript:x"])
def test_who_logs_in_without_a_page_to_go_to_is_led_to_the_admin(root, target):
    data = {"username": "root", "password": RIGHT, "next": target}
    answer = Client().post(LOGIN, data, REMOTE_ADDR="10.0.0.1")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")


def test_what_a_client_sends_is_no_address(root, settings):
    for number in range(PAIR):
        log_in(**{"x-forwarded-for": f"10.7.0.{number}"})
    assert log_in(**{"x-forwarded-for": "10.7.0.99"}).status_code == 429


def test_behind_a_proxy_the_last_address_alone_counts(root, settings, caplog):
    settings.LIVERMORE_BEHIND_PROXY = True
    for number in range(PAIR):
        log_in(**{"x-forwarded-for": f"10.7.0.{number}, 203.0.113.9"})
    assert "login.failed user=root address=203.0.113.9" in caplog.text
    assert log_in(**{"x-forwarded-for": "10.7.0.99,203.0.113.9"}).status_code == 429
    assert log_in(**{"x-forwarded-for": "203.0.113.9, 10.7.0.99"}).status_code == 200
    assert log_in(**{"x-forwarded-for": "203.0.113.9:4711"}).status_code == 429


def test_a_counter_ends_by_itself_however_often_it_is_refused(root, redis, monkeypatch):
    monkeypatch.setattr(logins, "USER_AND_ADDRESS", logins.Limit(2, 1))
    fail(2)
    deadline = time.monotonic() + 10
    while log_in(password=RIGHT).status_code == 429:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_attempts_at_the_same_time_do_not_pass_the_limit(redis):
    ready = threading.Barrier(24)

    def enter(_):
        ready.wait()
        return Attempts("root", "10.0.0.1").enter()

    with ThreadPoolExecutor(24) as pool:
        waits = list(pool.map(enter, range(24)))
    assert waits.count(0) == PAIR


def test_no_counter_is_there_for_good(root, redis):
    fail(PAIR + 1)
    log_in("eve", RIGHT, "10.0.0.2")
    names = list(redis.scan_iter("login:*"))
    assert names
    assert all(redis.ttl(name) > 0 for name in names)
    assert not [name for name in names if b"root" in name or b"10.0" in name]


@pytest.mark.parametrize("value", ["nonsense", ["a", "list"]])
def test_a_counter_that_somebody_else_wrote_counts_nothing(root, redis, value):
    fail(1)
    for name in list(redis.scan_iter("login:attempts:*")):
        redis.delete(name)
        redis.set(name, value) if isinstance(value, str) else redis.rpush(name, *value)
    assert fail(PAIR + 1) == [200] * PAIR + [429]


def test_without_redis_people_log_in_and_the_log_says_that_nothing_was_counted(
    root, tmp_path, monkeypatch, caplog
):
    with OwnRedis(tmp_path) as own, own.client() as client:
        monkeypatch.setattr(logins, "get_redis_connection", lambda _: client)
        own.stop()
        assert fail(PAIR + 1) == [200] * (PAIR + 1)
        assert log_in(password=RIGHT).status_code == 302
    assert "login.not_counted error=" in caplog.text
    assert "login.failed user=root" in caplog.text


def test_an_attempt_that_came_to_nothing_is_not_counted(root, redis, monkeypatch):
    def gone(*_args, **_options):
        raise DatabaseError("gone")

    with monkeypatch.context() as patched:
        patched.setattr("django.contrib.auth.forms.authenticate", gone)
        client = Client(raise_request_exception=False)
        for _ in range(PAIR + 1):
            client.post(LOGIN, {"username": "root", "password": RIGHT}, REMOTE_ADDR="10.0.0.1")
    assert fail(PAIR) == [200] * PAIR


# -- The other place where a password is asked for


@pytest.fixture
def inside(root):
    client = Client(REMOTE_ADDR="10.0.0.1")
    client.force_login(root)
    return client


def change(client, old, new="another password 9"):
    return client.post(CHANGE, {"old_password": old, "new_password1": new, "new_password2": new})


def test_the_old_password_is_not_tried_for_ever_either(inside, caplog):
    assert [change(inside, WRONG).status_code for _ in range(PAIR)] == [200] * PAIR
    assert "login.failed user=root address=10.0.0.1" in caplog.text
    answer = change(inside, RIGHT)
    assert (answer.status_code, "Too many attempts" in answer.content.decode()) == (429, True)
    assert log_in(password=RIGHT).status_code == 429


def test_a_password_is_changed_as_ever(inside):
    assert change(inside, RIGHT).status_code == 302
    assert log_in(password="another password 9").status_code == 302
