def test_batch_is_stored_and_counted(api, make_surface):
    make_surface()
    a=api.post("/v1/batches", json={"surface":"otp","text":"hi","messages":[{"to":"+919876543210"}]})
    print(a.status_code,a.text)
    b=api.get("/v1/batches/"+a.json()["id"]); print(b.text)
    m=api.get("/v1/messages"); print(m.text)
    print(api.get("/v1/messages/"+m.json()["items"][0]["id"]).text)
    print(api.get("/v1/reports").text, api.get("/v1/nope").text, api.get("/readyz").text, api.get("/healthz").text)
    print(api.get("/openapi.json").text[:300])
    print(api.get("/v1/credentials/main").text)
    a=api.post("/v1/messages", json={"surface":"otp","text":"hi","to":"+919876543210"}); print(a.text)
    import time
    rows=[{"to":f"+9198{i:08}", "variables":{"name":f"n{i}"}} for i in range(10000)]
    for text in ("hi", "hi {{name}}"):
        for _ in range(3):
            t=time.perf_counter(); a=api.post("/v1/batches", json={"surface":"otp","text":text,"messages":rows}); print(a.text[:200], time.perf_counter()-t)
    assert 0
